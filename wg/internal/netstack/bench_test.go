// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A variant is one way to make both ends of a tunnel.
type variant struct {
	name string
	make func(testing.TB) (a, b *host)
}

// ours is a variant with our stack at both ends.
func ours(name string, cfg Config) variant {
	return variant{name, func(t testing.TB) (a, b *host) {
		cfg.Addresses = []netip.Addr{a4}
		a = newHost(t, cfg)
		cfg.Addresses = []netip.Addr{b4}
		return a, newHost(t, cfg)
	}}
}

var (
	byStock = variant{"stock", func(t testing.TB) (a, b *host) {
		return newStockHost(t, []netip.Addr{a4}, defaultMTU), newStockHost(t, []netip.Addr{b4}, defaultMTU)
	}}
	byDefault = ours("default", Config{})

	// What was tried to find the defaults.
	choices = []variant{
		byDefault,
		ours("RACK", Config{RACK: true}),
		ours("1MiB", Config{SendBuffer: 1 << 20, ReceiveBuffer: 1 << 20}),
		ours("4MiB", Config{SendBuffer: 4 << 20, ReceiveBuffer: 4 << 20}),
		ours("8MiB", Config{SendBuffer: 8 << 20, ReceiveBuffer: 8 << 20}),
		ours("queue64", Config{Queue: 64}),
		ours("queue1024", Config{Queue: 1024}),
	}
)

// A measure is one figure of a tunnel.
type measure struct {
	name string
	run  func(b *testing.B, v variant) float64
}

var measures = []measure{
	{"1stream", func(b *testing.B, v variant) float64 { return throughput(b, v, 1) }},
	{"8streams", func(b *testing.B, v variant) float64 { return throughput(b, v, 8) }},
	{"echo-p50-us", latency},
}

// BenchmarkAgainstStock compares with the stack that the WireGuard module
// brings, in turns. Each iteration is a round; -benchtime 5x makes five.
func BenchmarkAgainstStock(b *testing.B) {
	compare(b, measures, []variant{byStock, byDefault})
}

// BenchmarkChoices compares the defaults with what else could be chosen.
func BenchmarkChoices(b *testing.B) {
	compare(b, measures[:2], choices)
}

// BenchmarkMemory compares the memory of a process that holds both ends while
// eight streams go through. Each measurement needs a process of its own.
func BenchmarkMemory(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("reads /proc")
	}
	compare(b, []measure{{"peak-MB", inChild}}, append([]variant{byStock}, choices...))
}

// compare takes all measures of all variants once in each round, and reports
// the ratio of medians to the first variant. The log has all figures.
func compare(b *testing.B, measures []measure, variants []variant) {
	got := map[string][]float64{}
	ratios := map[string][]float64{}
	for b.Loop() {
		for _, m := range measures {
			for _, v := range variants {
				key := m.name + ":" + v.name
				got[key] = append(got[key], m.run(b, v))
				base := got[m.name+":"+variants[0].name]
				ratios[key] = append(ratios[key], got[key][len(got[key])-1]/base[len(base)-1])
			}
		}
	}
	for _, m := range measures {
		for _, v := range variants {
			key := m.name + ":" + v.name
			// Not by b.Log, which shows ten lines only.
			fmt.Printf("%-22s %8.1f  %v  ratio %.2f  %.2f\n", key, median(got[key]), rounded(got[key]), median(ratios[key]), ratios[key])
			if v.name != variants[0].name {
				b.ReportMetric(median(ratios[key]), key+"-ratio")
			}
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func rounded(v []float64) []int {
	var out []int
	for _, f := range v {
		out = append(out, int(f))
	}
	return out
}

// inTunnel runs f with both ends of as many connections, and closes them.
func inTunnel(b testing.TB, v variant, connections int, f func(dialed, accepted []net.Conn)) {
	from, to := v.make(b)
	tunnel(b, from, to)
	var dialed, accepted []net.Conn
	for i := range connections {
		d, a := through(b, from, to, b4, uint16(1000+i))
		dialed, accepted = append(dialed, d), append(accepted, a)
	}
	f(dialed, accepted)
	from.wg.Close()
	to.wg.Close()
}

// throughput returns Mbit/s of all streams together.
func throughput(b *testing.B, v variant, streams int) (speed float64) {
	const warm, size = 8 << 20, 96 << 20
	inTunnel(b, v, streams, func(dialed, accepted []net.Conn) {
		pump(b, dialed, accepted, warm/streams)
		begin := time.Now()
		pump(b, dialed, accepted, size/streams)
		speed = size * 8 / time.Since(begin).Seconds() / 1e6
	})
	return speed
}

// pump sends size bytes through each connection.
func pump(b testing.TB, dialed, accepted []net.Conn, size int) {
	var all sync.WaitGroup
	for i := range dialed {
		all.Go(func() {
			buf := make([]byte, 128<<10)
			for left := size; left > 0; left -= len(buf) {
				if _, err := dialed[i].Write(buf[:min(len(buf), left)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(accepted[i], int64(size)), make([]byte, 128<<10)); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

// latency returns the median of the microseconds that 64 bytes take there and
// back.
func latency(b *testing.B, v variant) float64 {
	var took []float64
	inTunnel(b, v, 1, func(dialed, accepted []net.Conn) {
		go func() { _, _ = io.Copy(accepted[0], accepted[0]) }()
		message := make([]byte, 64)
		for range 3000 {
			begin := time.Now()
			if _, err := dialed[0].Write(message); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(dialed[0], message); err != nil {
				b.Fatal(err)
			}
			took = append(took, float64(time.Since(begin).Nanoseconds())/1e3)
		}
	})
	return median(took)
}

const childOf = "XESITE_TEST_NETSTACK_MEMORY"

// inChild measures memory in a process that does nothing else.
func inChild(b *testing.B, v variant) float64 {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestMemoryOfOneVariant$", "-test.v")
	cmd.Env = append(os.Environ(), childOf+"="+v.name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	_, after, _ := strings.Cut(string(out), "peak ")
	kb, err := strconv.ParseFloat(strings.Fields(after + " none")[0], 64)
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return kb / 1024
}

// TestMemoryOfOneVariant is the child process of [BenchmarkMemory].
func TestMemoryOfOneVariant(t *testing.T) {
	name := os.Getenv(childOf)
	if name == "" {
		t.Skip("only for BenchmarkMemory")
	}
	for _, v := range append([]variant{byStock}, choices...) {
		if v.name == name {
			inTunnel(t, v, 8, func(dialed, accepted []net.Conn) { pump(t, dialed, accepted, 48<<20) })
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println("peak", strings.TrimSpace(peak))
		}
	}
}

// BenchmarkSeal is what the cipher alone does, for packets of the usual size: no
// tunnel is faster.
func BenchmarkSeal(b *testing.B) {
	aead, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	packet := make([]byte, defaultMTU, defaultMTU+aead.Overhead())
	b.SetBytes(defaultMTU)
	for b.Loop() {
		aead.Seal(packet[:0], nonce, packet, nil)
	}
}

// BenchmarkLoopback is one TCP stream of the system, without a tunnel.
func BenchmarkLoopback(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			io.Copy(io.Discard, conn)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	chunk := make([]byte, 128<<10)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := conn.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
