// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"xeiaso.net/site/onion"
)

func TestEventsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"HS_DESC UPLOADED abc UNKNOWN $AB~relay1":                "onion.descEvent{action:\"UPLOADED\", service:\"abc\", reason:\"\"}",
		"HS_DESC FAILED abc NO_AUTH $AB~r desc REASON=NOT_FOUND": "onion.descEvent{action:\"FAILED\", service:\"abc\", reason:\"NOT_FOUND\"}",
		"HS_DESC": "<nil>",
		"STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=45 TAG=requesting_descriptors SUMMARY=\"Asking for \\\"relays\\\"\"":         "onion.bootstrapEvent{percent:45, tag:\"requesting_descriptors\", summary:\"Asking for \\\"relays\\\"\", warning:\"\"}",
		"STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting\" WARNING=\"No route to host\" REASON=NOROUTE": "onion.bootstrapEvent{percent:5, tag:\"conn\", summary:\"Connecting\", warning:\"No route to host\"}",
		"STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=101 TAG=x":                                                                   "<nil>",
		"STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=-1 TAG=x":                                                                    "<nil>",
		"STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS= TAG=x":                                                                      "<nil>",
		"STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED":                                                                            "<nil>",
		"NETWORK_LIVENESS UP":   "onion.livenessEvent{up:true}",
		"NETWORK_LIVENESS DOWN": "onion.livenessEvent{up:false}",
		"SOMETHING ELSE":        "<nil>",
		"":                      "<nil>",
	} {
		if got := fmt.Sprintf("%#v", onion.ParseEvent(text)); got != want {
			t.Errorf("%q is read as\n%s, want\n%s", text, got, want)
		}
	}
}

func TestStringsAreQuotedForTor(t *testing.T) {
	for s, want := range map[string]string{
		"/var/lib/tor":  `"/var/lib/tor"`,
		`/a "b" c\d/ é`: `"/a \"b\" c\\d/ é"`,
	} {
		if got := onion.Quoted(s); got != want {
			t.Errorf("%s is quoted as %s", s, got)
		}
	}
}

// circuitOf reads the line before a connection, and what follows it.
func circuitOf(sent string) (circuit uint64, rest string, err error) {
	ours, theirs := net.Pipe()
	go func() {
		io.WriteString(theirs, sent)
		theirs.Close()
	}()
	defer ours.Close()
	if circuit, err = onion.ReadCircuit(ours); err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(ours)
	return circuit, string(body), err
}

func TestTheCircuitIsReadAndNotAByteMore(t *testing.T) {
	for sent, want := range map[string]uint64{
		"PROXY TCP6 fc00:dead:beef:4dad::0:45 ::1 69 80\r\nGET / HTTP/1.1\r\n\r\n":         0x45,
		"PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 42\r\nGET / HTTP/1.1\r\n\r\n": 0xffffffff,
		"PROXY TCP6 fc00:dead:beef:4dad::1:0 ::1 1 80\r\nGET / HTTP/1.1\r\n\r\n":           0x10000,
	} {
		circuit, rest, err := circuitOf(sent)
		if err != nil || circuit != want || rest != "GET / HTTP/1.1\r\n\r\n" {
			t.Errorf("%q: circuit %x, rest %q, %v", sent, circuit, rest, err)
		}
	}
	for _, sent := range []string{
		"", "\r\n", "GET / HTTP/1.1\r\n", "PROXY UNKNOWN\r\n",
		"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
		"PROXY TCP6 ::1 ::1 69 80\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:45 ::1 69 80\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:12345 ::1 69 80\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:-1 ::1 69 80\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::1:0:45 ::1 69 80\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad:: ::1 69 80\r\n",
		"PROXY TCP6 fc00:dead:beef:4dad::0:45 ::1 69",
		"PROXY TCP6 " + strings.Repeat("f", 200) + "\r\n",
	} {
		if circuit, _, err := circuitOf(sent); err == nil {
			t.Errorf("%q is circuit %x", sent, circuit)
		}
	}
}

func FuzzCircuit(f *testing.F) {
	f.Add("PROXY TCP6 fc00:dead:beef:4dad::0:45 ::1 69 80\r\nrest")
	f.Add("PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 42\r\n")
	f.Fuzz(func(t *testing.T, sent string) {
		circuit, rest, err := circuitOf(sent)
		if err != nil {
			return
		}
		line, after, _ := strings.Cut(sent, "\n")
		if rest != after || len(line) >= 107 || circuit > 0xffffffff {
			t.Errorf("%q: circuit %x, rest %q", sent, circuit, rest)
		}
	})
}
