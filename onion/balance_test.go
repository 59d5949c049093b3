// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

// balancer runs onionbalance. On networks for tests it takes for granted that there
// is a vote every 20 seconds, from which follows under which key a descriptor is to be
// found at a time; the network here has one every half an hour. It looks for more
// directories than there are here without end. What else is changed is how long it
// waits.
const balancer = `
import sys, stem.util
from onionbalance.hs_v3 import consensus, params
interval = 1800
C = consensus.Consensus
C.get_time_period_length = lambda self: 24 * interval // 60
C._get_srv_phase_duration = lambda self: 12 * interval // 60
def run(self):
    after = int(stem.util.datetime_to_unix(self.consensus.valid_after))
    return after - (after // interval) % 24 * interval
C.get_start_time_of_current_srv_run = run
C.get_start_time_of_previous_srv_run = lambda self: run(self) - 24 * interval
params.HSDIR_SPREAD_STORE = 2
params.INITIAL_CALLBACK_DELAY = 2
params.FETCH_DESCRIPTOR_FREQUENCY_TESTNET = params.PUBLISH_DESCRIPTOR_CHECK_FREQUENCY_TESTNET = 5
params.INSTANCE_DESCRIPTOR_TOO_OLD_TESTNET = 3600
from onionbalance.manager import main
main()
`

// interpreter returns the program that a script is for: there may be another Python,
// without the script's libraries.
func interpreter(t *testing.T, script string) string {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, "#!"))
}

func TestABackendIsReachedByTheAddressOfItsFrontend(t *testing.T) {
	python := interpreter(t, need.Program(t, "onionbalance", "apt-get install onionbalance"))
	master := onion.NewKey()
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) {
		c.Mode, c.OnionBalance = onion.SingleHop, master.Address()
	})

	dir := t.TempDir()
	config := fmt.Sprintf("services:\n- key: master.key\n  instances:\n  - address: %s\n", h.Address())
	for name, text := range map[string]string{"master.key": string(master.File()), "config.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	frontend := h.net.Tor(t, "balance", "SocksPort 0")
	c := frontend.Control(t)
	wait.Until(t, "the frontend's tor is in the network", func() bool {
		phase, err := c.Info("status/bootstrap-phase")
		return err == nil && strings.Contains(phase, "PROGRESS=100")
	})
	cmd := exec.CommandContext(t.Context(), python, "-", "--is-testnet", "-v", "info",
		"-s", filepath.Join(frontend.Dir, "control"), "-c", filepath.Join(dir, "config.yaml"))
	cmd.Stdin = strings.NewReader(balancer)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	_, body := h.net.Client.Fetch(t, "http://"+string(master.Address())+"/")
	if want := fmt.Sprintf("true %s:80 host %s", h.Address(), master.Address()); string(body) != want {
		t.Errorf("it answers %q, want %q", body, want)
	}
}
