// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"strings"
	"testing"

	"xeiaso.net/site/wg"
)

func TestWarningsTellWhatIsProbablyNotMeant(t *testing.T) {
	key, peer, other := wg.NewKey().Reveal(), wg.NewKey().Public().String(), wg.NewKey().Public().String()
	head := "[Interface]\nPrivateKey = " + key + "\nAddress = 10.0.0.2/24\n"
	good := "[Peer]\nPublicKey = " + peer + "\nEndpoint = vpn.example:51820\nAllowedIPs = 10.0.0.0/24\nPersistentKeepalive = 25\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":              {head + good, nil},
		"a server":             {head + "ListenPort = 51820\n[Peer]\nPublicKey = " + peer + "\nAllowedIPs = 10.0.0.3\n", nil},
		"no peer":              {head, []string{"no [Peer]"}},
		"no AllowedIPs":        {head + strings.Replace(good, "AllowedIPs = 10.0.0.0/24\n", "", 1), []string{"no AllowedIPs"}},
		"no keepalive":         {head + strings.Replace(good, "PersistentKeepalive", "#", 1), []string{"PersistentKeepalive"}},
		"nobody finds another": {head + strings.Replace(good, "Endpoint", "#", 1), []string{"no ListenPort"}},
		"DNS outside":          {head + "DNS = 10.0.0.1, 10.0.1.1, corp.example\n" + good, []string{"DNS server 10.0.1.1"}},
		"the same twice": {
			head + good + strings.NewReplacer(peer, other, "10.0.0.0/24", "10.0.0.9/24, 10.0.0.9/32").Replace(good),
			[]string{"both have 10.0.0.0/24"},
		},
		"a small MTU": {head + "Address = fd00::2\nMTU = 1000\n" + good, []string{"below 1280"}},
	} {
		cfg, err := wg.ParseConfig(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := cfg.Warnings()
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.Contains(got[i], c.want[i])
		}
		if !ok || strings.Contains(strings.Join(got, " "), key) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
