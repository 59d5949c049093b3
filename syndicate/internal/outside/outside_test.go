// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package outside_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"xeiaso.net/site/syndicate/internal/outside"
)

func TestOnlyPublicAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"9.9.9.9": true, "2620:fe::fe": true, "2a01:4f8::1": true, "172.32.0.1": true,
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false, "fe80::1%eth0": false,
		"169.254.169.254": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
	} {
		if got := outside.Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Public(%s) = %t", addr, got)
		}
	}
}

func TestConnectionsToThisMachineAreRefused(t *testing.T) {
	asked := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer srv.Close()
	_, port, _ := cutLast(srv.URL)
	for _, address := range []string{srv.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		resp, err := outside.Client().Get(address)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, outside.ErrInside) {
			t.Errorf("GET %s = %v, want ErrInside", address, err)
		}
	}
	if asked {
		t.Error("the server was asked")
	}
}

func TestOwnHostsAreReachedWhereverTheyAre(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	_, port, _ := cutLast(srv.URL)
	resp, err := outside.Client("", "LOCALHOST").Get("http://localhost:" + port)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = outside.Client("", "localhost").Get(srv.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, outside.ErrInside) {
		t.Errorf("another host of this machine: %v, want ErrInside", err)
	}
}

func cutLast(s string) (before, after string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ':' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
