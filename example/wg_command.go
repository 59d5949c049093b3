// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"xeiaso.net/site/wg"
)

const wgUsage = `Usage: example wg genkey|genpsk|pubkey|check FILE

  genkey      write a new private key to the output
  genpsk      write a new key for two peers to share to the output
  pubkey      read a private key from the input, write its public key
  check FILE  tell what a file in the form of wg-quick(8) says, without its
              secrets, and what is wrong with it; - is the input

The site itself reads such a file with -wg-config.
`

// runWG runs a command about keys and files of WireGuard. It changes nothing.
func runWG(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 || strings.Trim(args[0], "-") == "help" || args[0] == "-h" {
		fmt.Fprint(stderr, wgUsage)
		return nil
	}
	command, args := args[0], args[1:]
	want := 0
	if command == "check" {
		want = 1
	}
	if len(args) != want {
		return fmt.Errorf("wg %s: %d arguments, want %d, see example wg -help", command, len(args), want)
	}
	switch command {
	case "genkey":
		return writeKey(stdout, stderr, wg.NewKey())
	case "genpsk":
		return writeKey(stdout, stderr, wg.NewSharedKey())
	case "pubkey":
		return writePublic(stdin, stdout)
	case "check":
		return checkFile(args[0], stdin, stdout)
	}
	return fmt.Errorf("%q is no command of wg: want genkey, genpsk, pubkey or check", command)
}

// writeKey writes a secret key. If others can read where it goes, it says so, as the
// program wg does.
func writeKey(stdout, stderr io.Writer, key wg.Key) error {
	if f, ok := stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
			fmt.Fprintln(stderr, "warning: everybody on this machine can read the file that the key is written to; use umask 077")
		}
	}
	_, err := fmt.Fprintln(stdout, key.Reveal())
	return err
}

func writePublic(stdin io.Reader, stdout io.Writer) error {
	raw, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return err
	}
	key, err := wg.ParseKey(strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, key.Public())
	return err
}

// readWG reads a file. Warnings are about the file itself, and about what it says.
func readWG(path string, stdin io.Reader) (cfg *wg.Config, warnings []string, err error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		stdin = f
		if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o007 != 0 {
			warnings = append(warnings, "everybody on this machine can read the file, and its private key: chmod 600 "+strconv.Quote(path))
		}
	}
	cfg, err = wg.ParseConfig(stdin)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, append(warnings, cfg.Warnings()...), nil
}

// checkFile tells what a file says.
func checkFile(path string, stdin io.Reader, stdout io.Writer) error {
	cfg, warnings, err := readWG(path, stdin)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	describe(&out, cfg)
	section(&out, "Ignored, since nothing of this machine is changed", cfg.Ignored)
	section(&out, "Warnings", warnings)
	_, err = stdout.Write(out.Bytes())
	return err
}

// describe writes what a configuration says, and nothing secret.
func describe(out io.Writer, cfg *wg.Config) {
	row := func(name, value string) { fmt.Fprintf(out, "  %-16s%s\n", name, value) }
	fmt.Fprintln(out, "This end")
	row("public key", cfg.PrivateKey.Public().String())
	row("addresses", list(cfg.Addresses))
	row("UDP port", port(cfg.ListenPort))
	row("MTU", strconv.Itoa(cmp.Or(cfg.MTU, 1420)))
	servers := list(cfg.Servers())
	if len(cfg.DNS) == 0 && servers != none {
		servers += " (that of the network at Fly.io)"
	}
	row("DNS servers", servers)
	row("search domains", list(cfg.Search))
	for _, p := range cfg.Peers {
		fmt.Fprintf(out, "Peer %s\n", p.PublicKey)
		row("endpoint", cmp.Or(p.Endpoint, "none: it has to come to this end"))
		row("allowed IPs", list(p.AllowedIPs))
		if p.Keepalive > 0 {
			row("keepalive", p.Keepalive.String())
		}
		if !p.PresharedKey.IsZero() {
			row("preshared key", "there is one")
		}
	}
}

// none is shown where there are no values.
const none = "none"

// list is what is shown of several values.
func list[T any](all []T) string {
	var s []string
	for _, v := range all {
		s = append(s, fmt.Sprint(v))
	}
	return cmp.Or(strings.Join(s, ", "), none)
}

func port(n uint16) string {
	if n == 0 {
		return "a free one"
	}
	return strconv.Itoa(int(n))
}

func section(out io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(out, title)
	for _, line := range lines {
		fmt.Fprintln(out, "  "+line)
	}
}
