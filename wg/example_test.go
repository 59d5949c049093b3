// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"xeiaso.net/site/wg"
)

// open makes a tunnel of a file as wg-quick(8) has it.
func open(path string) (*wg.Tunnel, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg, err := wg.ParseConfig(f)
	if err != nil {
		return nil, err
	}
	return wg.New(cfg, wg.Options{Logger: slog.Default()})
}

// A whole program: it gets a page from a private network. No other program sees that
// network, and root is not needed.
func Example() {
	f, err := os.Open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	cfg, err := wg.ParseConfig(f)
	if err != nil {
		log.Fatal(err) // names line and key
	}
	tunnel, err := wg.New(cfg, wg.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tunnel.Up(ctx); err != nil {
		log.Fatal(err) // names the peer that has not answered
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app.internal:8080/", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := tunnel.HTTPClient().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}

// A program that is of use without the tunnel does not wait for it: dials do.
func ExampleNew() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		if err := tunnel.Up(ctx); err != nil && ctx.Err() == nil {
			slog.Error("the tunnel cannot be opened", "err", err)
		}
	}()

	dial, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := tunnel.DialContext(dial, "tcp", "db.internal:5432")
	if silent, ok := errors.AsType[*wg.PeerError](err); ok {
		log.Fatal("nobody answers at ", silent.Endpoint)
	} else if err != nil {
		log.Fatal(err)
	}
	conn.Close()
}

// What a file says is known before anything is sent.
func ExampleParseConfig() {
	cfg, err := wg.ParseConfig(strings.NewReader(`
		[Interface]
		PrivateKey = ` + wg.NewKey().Reveal() + `
		Address = 10.20.0.2/24
		DNS = 10.20.0.1, corp.example
		PostUp = iptables -A FORWARD -j ACCEPT

		[Peer]
		PublicKey = G6ItPkso87KlhOnhfBtx3xj9ObEZYyqHuNJ3Zr86eA4=
		Endpoint = vpn.example:51820
		AllowedIPs = 10.20.0.0/24
	`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("names in", cfg.Search, "are looked up at", cfg.Servers())
	fmt.Println("not obeyed:", cfg.Ignored)
	for _, w := range cfg.Warnings() {
		fmt.Println("hm:", w)
	}
	fmt.Println("the key:", cfg.PrivateKey)

	_, err = wg.ParseConfig(strings.NewReader("[Interface]\nAddres = 10.20.0.2/24\n"))
	fmt.Println(err)
	// Output:
	// names in [corp.example] are looked up at [10.20.0.1]
	// not obeyed: [line 6: PostUp]
	// hm: the peer G6ItPkso87KlhOnhfBtx3xj9ObEZYyqHuNJ3Zr86eA4=: without a PersistentKeepalive, firewalls forget the way back to here when nothing is said for a while; 25 is usual
	// the key: [redacted]
	// wg: line 2, Addres: an [Interface] has no such key
}

// Any client of HTTP can use a tunnel.
func ExampleTunnel_HTTPTransport() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	transport := tunnel.HTTPTransport()
	transport.ResponseHeaderTimeout = 10 * time.Second
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	resp, err := client.Get("http://metrics.internal:9090/-/healthy")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
}

// One client reaches private hosts through the tunnel, and public ones directly.
func ExampleSplitDialer() {
	prefix := "fdaa:0:99:a7b:0:2:0:2/120" // a private network at Fly.io
	cfg, err := wg.ParseConfig(strings.NewReader("[Interface]\nPrivateKey = " + wg.NewKey().Reveal() + "\nAddress = " + prefix +
		"\n[Peer]\nPublicKey = " + wg.NewKey().Public().String() + "\nEndpoint = gateway.example:51820\nAllowedIPs = fdaa:0:99::/48\n"))
	if err != nil {
		log.Fatal(err)
	}
	tunnel, err := wg.New(cfg, wg.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()

	split := &wg.SplitDialer{Tunnel: tunnel, Domains: []string{"corp.example"}}
	client := &http.Client{Transport: &http.Transport{DialContext: split.DialContext}}
	defer client.CloseIdleConnections()

	for _, host := range []string{"tokens.internal", "git.corp.example", "fdaa:0:99::3", "notcorp.example", "192.0.2.1", "localhost"} {
		fmt.Println(host, split.Tunneled(host))
	}
	// Output:
	// tokens.internal true
	// git.corp.example true
	// fdaa:0:99::3 true
	// notcorp.example false
	// 192.0.2.1 false
	// localhost false
}

// Other programs on this machine reach a database in the private network.
func ExampleTunnel_Forward() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go tunnel.Up(ctx) // it goes on trying

	l, err := net.Listen("tcp", "127.0.0.1:5432")
	if err != nil {
		log.Fatal(err)
	}
	if err := tunnel.Forward(ctx, l, "db.internal:5432"); err != nil {
		log.Fatal(err)
	}
}

// Programs in the private network reach one on this machine.
func ExampleTunnel_Reverse() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go tunnel.Up(ctx)

	l, err := tunnel.Listen("tcp", ":8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := tunnel.Reverse(ctx, l, "127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}

// A browser on this machine looks into the private network: its proxy is
// socks5h://127.0.0.1:1080.
func ExampleTunnel_ServeSOCKS() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go tunnel.Up(ctx)

	l, err := net.Listen("tcp", "127.0.0.1:1080")
	if err != nil {
		log.Fatal(err)
	}
	if err := tunnel.ServeSOCKS(ctx, l); err != nil {
		log.Fatal(err)
	}
}

// A web server that only the private network reaches.
func ExampleTunnel_Listen() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	l, err := tunnel.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go tunnel.Up(context.Background())
	log.Fatal(http.Serve(l, http.FileServer(http.Dir("private"))))
}

// Names are asked for inside the tunnel: Fly.io tells by a text where an app runs.
func ExampleTunnel_Resolver() {
	tunnel, err := open("fly.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tunnel.Up(ctx); err != nil {
		log.Fatal(err)
	}
	regions, err := tunnel.Resolver().LookupTXT(ctx, "regions.my-app.internal")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(regions)
}

// A file that was changed is taken over at each SIGHUP. What goes through the tunnel goes
// on; a file that is wrong changes nothing.
func ExampleTunnel_Reconfigure() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for range hup {
		f, err := os.Open("wg0.conf")
		if err != nil {
			log.Print(err)
			continue
		}
		cfg, err := wg.ParseConfig(f)
		f.Close()
		if err == nil {
			err = tunnel.Reconfigure(cfg)
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// How a tunnel is, as for a page of one's own.
func ExampleTunnel_Status() {
	tunnel, err := open("wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	go tunnel.Up(context.Background())
	http.HandleFunc("/tunnel", func(w http.ResponseWriter, _ *http.Request) {
		for _, peer := range tunnel.Status().Peers {
			fmt.Fprintln(w, peer.PublicKey, peer.State, peer.LastHandshake, peer.Problem)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

// Keys are made as by the program wg.
func ExampleNewKey() {
	key := wg.NewKey()
	fmt.Println(key, len(key.Reveal()), len(key.Public().String()))
	// Output: [redacted] 44 44
}
