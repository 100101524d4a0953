//go:build !unix

package main

import "os"

// notifyRetry does nothing: there is no such signal here.
func notifyRetry(chan<- os.Signal) {}

// notifyReload does nothing: there is no such signal here.
func notifyReload(chan<- os.Signal) {}
