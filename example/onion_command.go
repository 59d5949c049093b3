// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"xeiaso.net/site/onion"
)

const onionUsage = `Usage: example onion address|export-key|import-key [flags]

  address     show the address of the service
  export-key  write its key to the output, as tor's hs_ed25519_secret_key:
              whoever has it has the address
  import-key  read a key from the input, in that form

`

// runOnion runs a command about the key of the onion service in a data directory.
func runOnion(args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	var dataDir string
	var singleHop bool
	fs := flag.NewFlagSet("example onion", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&dataDir, "data-dir", "./var", "`directory` of the site")
	fs.BoolVar(&singleHop, "onion-single-hop", false, "import-key: the key is for a service that does not hide where it is")
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	err := parseFlags(fs, args, getenv)
	if errors.Is(err, flag.ErrHelp) || strings.HasPrefix(command, "-") || command == "" || command == "help" {
		fmt.Fprint(stderr, onionUsage)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		return nil
	}
	if err != nil {
		return err
	}
	dir := filepath.Join(dataDir, "onion", "key")
	switch command {
	case "address":
		key, err := readKey(dir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(stdout, key.Address())
		return err
	case "export-key":
		key, err := readKey(dir)
		if err != nil {
			return err
		}
		_, err = stdout.Write(key.File())
		return err
	case "import-key":
		mode := onion.Anonymous
		if singleHop {
			mode = onion.SingleHop
		}
		return importKey(dir, mode, stdin, stdout)
	}
	return fmt.Errorf("%q is no command of onion: want address, export-key or import-key", command)
}

func readKey(dir string) (onion.Key, error) {
	key, err := onion.ReadKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return onion.Key{}, fmt.Errorf("there is no key in %s: -data-dir may be another one, a site with -onion makes a key at its first start, and import-key takes one from elsewhere", dir)
	}
	return key, err
}

func importKey(dir string, mode onion.Mode, stdin io.Reader, stdout io.Writer) error {
	raw, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return err
	}
	key, err := onion.ParseKey(raw)
	if err != nil {
		return err
	}
	if err := onion.WriteKey(dir, key, mode); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, key.Address())
	return err
}
