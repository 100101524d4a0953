//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyRetry sends on to c what asks for a retry of the uploads.
func notifyRetry(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }

// notifyReload sends on to c what asks for a reload of the configuration.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
