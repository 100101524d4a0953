package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/control"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/health"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/hooks"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/printable"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/scale"
	"github.com/hlsorigin/hlsorigin/configs"
)

// checkCommand says what is wrong with a configuration, or prints the one in force.
func checkCommand(args []string, env environment) error {
	f := flags("check")
	path := configFlag(f, env)
	quiet := f.Bool("quiet", false, "")
	if err := parse(f, args); err != nil {
		return err
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	b, err := budget.New(memorySettings(c), os.ReadFile)
	if err != nil {
		return err
	}
	for _, e := range configs.Unknown(c, env.vars) {
		fmt.Fprintf(printable.Writer(env.err), "hlsorigin: warning: %v\n", e)
	}
	if *quiet {
		return nil
	}
	_, err = fmt.Fprintf(env.out, "%v%v", c, &b)
	return err
}

// hooksCommand tries webhooks, and makes secrets for them.
func hooksCommand(args []string, env environment) error {
	act := ""
	if len(args) > 0 {
		act, args = args[0], args[1:]
	}
	f := flags("hooks " + act)
	path := configFlag(f, env)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp), act == "", act == "help", act == "-h":
		fmt.Fprint(env.out, hooks.Help)
		return nil
	case err != nil:
		return usageError{err}
	}
	switch {
	case act == "secret" && f.NArg() == 0:
		_, err := fmt.Fprintln(env.out, string(hooks.Secret()))
		return err
	case act != "test" || f.NArg() > 1:
		return usageError{fmt.Errorf("hooks: %q was not expected: it is test or secret", strings.Join(append([]string{act}, f.Args()...), " "))}
	}
	index := -1
	if f.NArg() == 1 {
		n, err := strconv.Atoi(f.Arg(0))
		if err != nil || n < 0 {
			return usageError{fmt.Errorf("hooks test: %q is not the number of a webhook: the first is 0", f.Arg(0))}
		}
		index = n
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	h, err := hooks.New(c, versionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return hooks.Test(env.out, h, index)
}

// scaleCommand computes what a show of a given size asks for.
func scaleCommand(args []string, env environment) error {
	f := flags("scale")
	report := scale.Flags(f)
	switch err := parse(f, args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(env.out, scale.Help)
		return nil
	case err != nil:
		return err
	}
	if err := report(env.out); err != nil {
		return usageError{fmt.Errorf("scale: %w", err)}
	}
	return nil
}

// healthcheckCommand asks a server on this machine whether it is well. Without a -config of its own it takes the one that the running
// server was started with.
func healthcheckCommand(args []string, env environment) error {
	f := flags("healthcheck")
	path := configFlag(f, env)
	if err := parse(f, args); err != nil {
		return err
	}
	given := false
	f.Visit(func(*flag.Flag) { given = true })
	if file := health.ConfigOfServer(health.Proc, served); !given && file != "" {
		*path = file
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	return health.Ask(context.Background(), c)
}

// ctlCommand asks a running server for what operators type by hand.
func ctlCommand(args []string, env environment) error {
	act := ""
	if len(args) > 0 {
		act, args = args[0], args[1:]
	}
	f := flags("ctl " + act)
	path := configFlag(f, env)
	o := control.Flags{Now: time.Now()}
	f.DurationVar(&o.Timeout, "timeout", control.DefaultSync, "")
	f.BoolVar(&o.Yes, "yes", false, "")
	f.Func("text", "", func(s string) error {
		o.Text = append(o.Text, s)
		return nil
	})
	f.Func("id3", "", func(name string) (err error) {
		o.ID3, err = control.ReadTag(name)
		return err
	})
	names, err := parseMixed(f, args)
	switch {
	case errors.Is(err, flag.ErrHelp), act == "", act == "help", act == "-h", act == "--help":
		fmt.Fprint(env.out, control.Help)
		return nil
	case err != nil:
		return err
	}
	call, err := control.Parse(act, names, o)
	if err != nil {
		return usageError{err}
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(env.signals)
	defer stop()
	return call.Do(ctx, printable.Writer(env.out), c.Admin.Listen, env.vars)
}

// jobCommand orders jobs of a running server, and shows them.
func jobCommand(args []string, env environment) error {
	act := ""
	if len(args) > 0 {
		act, args = args[0], args[1:]
	}
	f := flags("job " + act)
	path := configFlag(f, env)
	j := control.JobFlags(f)
	names, err := parseMixed(f, args)
	switch {
	case errors.Is(err, flag.ErrHelp), act == "", act == "help", act == "-h", act == "--help":
		fmt.Fprint(env.out, control.JobHelp)
		return nil
	case err != nil:
		return err
	}
	call, err := j.Parse(act, names)
	if err != nil {
		return usageError{err}
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(env.signals)
	defer stop()
	return call.Do(ctx, printable.Writer(env.out), env.err, c.Admin.Listen, env.vars)
}
