// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// The kernel's WireGuard was written by other people than the one that we use, from
// the same paper. It runs in an emulated machine, which takes a while.
func TestTheKernelIsAPeer(t *testing.T) {
	root := os.Getenv("XESITE_WG_KERNEL")
	if root == "" {
		t.Skip("XESITE_WG_KERNEL names no unpacked kernel: make test-wg-kernel does that")
	}
	network := wgnet.New(t)
	begun := time.Now()
	kernel := network.Kernel(t, root)
	t.Logf("the machine has booted in %s", time.Since(begun).Round(time.Second))
	for i, name := range []string{"without a preshared key", "with a preshared key"} {
		t.Run(name, func(t *testing.T) { talksTo(t, network, &kernel.Tunnels[i]) })
	}
}

func talksTo(t *testing.T, network *wgnet.Network, kernel *wgnet.KernelTunnel) {
	cfg, err := wg.ParseConfig(strings.NewReader(kernel.ClientConfig()))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	tunnel := up(t, network, cfg, wg.Options{})
	t.Logf("up after %s", time.Since(begun).Round(time.Millisecond))
	c := client(t, tunnel)
	for _, inside := range []netip.Addr{kernel.Inside4, kernel.Inside6} {
		took, err := tunnel.Ping(patient(t), inside)
		if err != nil || took <= 0 {
			t.Errorf("ping of %s: %s, %v", inside, took, err)
		}
		t.Logf("ping of %s: %s", inside, took.Round(time.Microsecond))
		content, url := megabyte(), "http://"+at(inside, 80)+"/"
		sum, err := request(patient(t), c, http.MethodPut, url, content)
		if err != nil || string(sum) != fmt.Sprintf("%x", sha256.Sum256(content)) {
			t.Errorf("PUT to %s: %q, %v", inside, sum, err)
		}
		got, err := request(patient(t), c, http.MethodGet, url, nil)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(content) {
			t.Errorf("GET from %s: %d bytes, %v", inside, len(got), err)
		}
		t.Logf("1 MB to and from %s, sha256 %s each way", inside, sum)
		_, err = tunnel.DialContext(patient(t), "tcp", at(inside, 81))
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port where nobody listens: %v", err)
		}
		t.Log(err)
	}
	status, err := request(patient(t), c, http.MethodGet, "http://"+at(kernel.Inside4, 80)+"/status", nil)
	if err != nil || !strings.HasPrefix(string(status), "Linux ") || !strings.Contains(string(status), cfg.PrivateKey.Public().String()) {
		t.Errorf("the guest says %q, %v", status, err)
	}
	t.Logf("the guest says:\n%s", status)
}
