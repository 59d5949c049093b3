// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
)

// Network is a running network.
type Network struct {
	// Client is for all tests. It caches what it knows of services; a test for which
	// that matters has one of its own, by [Network.NewClient].
	Client *Client

	program string // tor
	dir     string
	common  []string // what every node has in its configuration
	dirPort int      // where the authority has its directory
	nodes   []*Tor   // the authority, the relays, and the client
}

// A shared network is the one of this binary.
var shared struct {
	mu      sync.Mutex // guards all, and is held during the start
	main    bool       // Main runs
	started bool
	network *Network
	err     error
}

// Main runs the tests of a package, and ends the network after them, if one of them
// needed it. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }
func Main(m *testing.M) int {
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()
	defer func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if shared.network != nil {
			shared.network.end()
		}
	}()
	return m.Run()
}

// Need returns the network of this binary, started by the first test that needs it.
// It skips the test where there is no tor. If the test fails, it logs what the nodes
// have printed last.
func Need(t testing.TB) *Network {
	t.Helper()
	const remedy = "apt-get install tor"
	program, gencert := need.Program(t, "tor", remedy), need.Program(t, "tor-gencert", remedy)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		t.Fatal("nothing would end the network: let TestMain call os.Exit(tornet.Main(m))")
	}
	if !shared.started {
		shared.started = true
		shared.network, shared.err = start(program, gencert)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	n := shared.network
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(n.Logs())
		}
	})
	return n
}

const (
	relays = 3 // with the authority four, the fewest with which services work
	// startTimeout is for all of a start; it takes nine seconds on an idle machine.
	startTimeout = 180 * time.Second
)

// start starts a network. A port that was free may be taken when tor wants it: then
// a tor exits, and everything begins anew.
func start(program, gencert string) (*Network, error) {
	var errs []error
	for range 3 {
		n, err := try(program, gencert)
		if err == nil {
			return n, nil
		}
		errs = append(errs, err)
		if !errors.Is(err, errExited) {
			break
		}
	}
	return nil, fmt.Errorf("the network did not start: %w", errors.Join(errs...))
}

func try(program, gencert string) (*Network, error) {
	dir, err := os.MkdirTemp("", "tornet") // short: a socket's path has 104 bytes at most
	if err != nil {
		return nil, err
	}
	n := &Network{program: program, dir: dir}
	if err := n.up(gencert, time.Now().Add(startTimeout)); err != nil {
		logs := n.Logs()
		n.end()
		return nil, fmt.Errorf("%w\n%s", err, logs)
	}
	return n, nil
}

// up starts one node after the other.
func (n *Network) up(gencert string, deadline time.Time) error {
	if err := n.startAuthority(gencert); err != nil {
		return err
	}
	for i := range relays {
		if err := n.relay(fmt.Sprintf("relay%d", i+1), relayLines("auto")...); err != nil {
			return err
		}
	}
	if err := n.agree(deadline); err != nil {
		return err
	}
	if err := n.tell(deadline); err != nil {
		return err
	}
	var err error
	n.Client, err = n.client("client", deadline)
	if n.Client != nil {
		n.nodes = append(n.nodes, n.Client.Tor)
	}
	return err
}

// relay starts the authority, or a relay.
func (n *Network) relay(name string, lines ...string) error {
	if err := seedBandwidth(filepath.Join(n.dir, name)); err != nil {
		return err
	}
	node, err := launch(n.program, n.dir, name, append(append(n.Torrc(), "Nickname "+name), lines...))
	if err == nil {
		n.nodes = append(n.nodes, node)
	}
	return err
}

// seedBandwidth makes a relay believe that it has carried as much as all the others.
// A new one has carried nothing, which makes all equally likely to be chosen, until
// one has carried a kilobyte a second: then nobody chooses any other, and no circuit
// comes about.
func seedBandwidth(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var state strings.Builder
	for _, way := range []string{"Read", "Write"} {
		fmt.Fprintf(&state, "BWHistory%[1]sEnds %[2]s\nBWHistory%[1]sInterval 86400\nBWHistory%[1]sValues 864000000\nBWHistory%[1]sMaxima 1000000\n",
			way, time.Now().UTC().Add(-time.Minute).Format(time.DateTime))
	}
	return os.WriteFile(filepath.Join(dir, "state"), []byte(state.String()), 0o600)
}

func (n *Network) end() {
	var all sync.WaitGroup
	for _, node := range n.nodes {
		all.Go(node.end)
	}
	all.Wait()
	os.RemoveAll(n.dir)
}

// Torrc returns the lines of configuration that make a tor part of the network, be
// it a client or have it services, anonymous or not.
func (n *Network) Torrc() []string { return append([]string(nil), n.common...) }

// Tor starts one more tor on the network, such as one that has a service, until the
// test ends. Name is that of its data directory and must be new; lines are added to
// [Network.Torrc]. It returns when its control socket takes commands.
func (n *Network) Tor(t testing.TB, name string, lines ...string) *Tor {
	t.Helper()
	node, err := launch(n.program, n.dir, name, append(n.Torrc(), lines...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.endWith(t) })
	err = node.until(time.Now().Add(startTimeout), "it takes commands", func() error {
		_, err := node.own()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// Logs returns what each node has printed last.
func (n *Network) Logs() string {
	var all strings.Builder
	for _, node := range n.nodes {
		fmt.Fprintf(&all, "%s:\n%s\n", node.Name, node.Log())
	}
	return all.String()
}

func (n *Network) startAuthority(gencert string) error {
	or, dir, err := twoPorts()
	if err != nil {
		return err
	}
	empty := filepath.Join(n.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	v3, fingerprint, err := n.keys(gencert, dir)
	if err != nil {
		return err
	}
	n.dirPort = dir
	n.common = []string{
		"TestingTorNetwork 1",
		fmt.Sprintf("DirAuthority authority orport=%d no-v2 v3ident=%s 127.0.0.1:%d %s", or, v3, dir, fingerprint),
		"EnforceDistinctSubnets 0", "PathsNeededToBuildCircuits 0.67",
		// Debian's would take seconds and 34 MB in each node.
		"GeoIPFile " + empty, "GeoIPv6File " + empty,
	}
	return n.relay("authority", append(relayLines(fmt.Sprint(or)), authorityLines(dir)...)...)
}

// twoPorts returns two that are free at the moment.
func twoPorts() (int, int, error) {
	a, errA := net.Listen("tcp", "127.0.0.1:0")
	if errA != nil {
		return 0, 0, errA
	}
	defer a.Close()
	b, errB := net.Listen("tcp", "127.0.0.1:0")
	if errB != nil {
		return 0, 0, errB
	}
	defer b.Close()
	return a.Addr().(*net.TCPAddr).Port, b.Addr().(*net.TCPAddr).Port, nil
}

// keys makes the authority's keys, and returns the fingerprints of that which signs
// the consensus, and of the relay that it is.
func (n *Network) keys(gencert string, dirPort int) (v3, fingerprint string, err error) {
	data := filepath.Join(n.dir, "authority")
	if err := os.MkdirAll(filepath.Join(data, "keys"), 0o700); err != nil {
		return "", "", err
	}
	signing := exec.Command(gencert, "--create-identity-key", "-m", "12", "-a", fmt.Sprintf("127.0.0.1:%d", dirPort), "--passphrase-fd", "0")
	signing.Dir = filepath.Join(data, "keys")
	signing.Stdin = strings.NewReader("passphrase\n")
	relay := exec.Command(n.program, "--list-fingerprint", "--quiet", "-f", "/nonexistent", "--ignore-missing-torrc",
		"--defaults-torrc", "/nonexistent", "--DataDirectory", data, "--ORPort", "1", "--Nickname", "authority",
		"--Address", "127.0.0.1", "--TestingTorNetwork", "1", "--AssumeReachable", "1",
		"--DirAuthority", "x 127.0.0.1:1 "+strings.Repeat("0", 40))
	var both sync.WaitGroup
	var errs [2]error
	for i, cmd := range []*exec.Cmd{signing, relay} {
		both.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
			}
		})
	}
	both.Wait()
	certificate, err1 := os.ReadFile(filepath.Join(data, "keys", "authority_certificate"))
	identity, err2 := os.ReadFile(filepath.Join(data, "fingerprint")) // "nickname 0123…"
	if err := errors.Join(errs[0], errs[1], err1, err2); err != nil {
		return "", "", err
	}
	_, rest, _ := strings.Cut(string(certificate), "\nfingerprint ")
	v3, _, _ = strings.Cut(rest, "\n")
	_, fingerprint, _ = strings.Cut(strings.TrimSpace(string(identity)), " ")
	return v3, fingerprint, nil
}

func relayLines(orPort string) []string {
	return []string{
		"SocksPort 0", "ORPort 127.0.0.1:" + orPort, "Address 127.0.0.1", "AssumeReachable 1",
		"DirAllowPrivateAddresses 1", "ExtendAllowPrivateAddresses 1",
		"ExitRelay 0", "ExitPolicy reject *:*", "ServerDNSDetectHijacking 0", "NumCPUs 1",
	}
}

func authorityLines(dirPort int) []string {
	return []string{
		"ContactInfo nobody@example.com", fmt.Sprintf("DirPort 127.0.0.1:%d", dirPort),
		"AuthoritativeDirectory 1", "V3AuthoritativeDirectory 1", "AuthDirMaxServersPerAddr 0",
		"TestingDirAuthVoteExit *", "TestingDirAuthVoteGuard *", "TestingDirAuthVoteHSDir *", "TestingMinExitFlagThreshold 0",
		fmt.Sprintf("V3AuthVotingInterval %d", interval), fmt.Sprintf("TestingV3AuthInitialVotingInterval %d", interval),
		"V3AuthVoteDelay 2", "V3AuthDistDelay 2", "TestingV3AuthInitialVoteDelay 2", "TestingV3AuthInitialDistDelay 2",
		// Not before agree says so.
		fmt.Sprintf("TestingV3AuthVotingStartOffset %d", (time.Now().Unix()+interval/2)%interval),
	}
}

// interval is that of consensuses, in seconds, from the first one on. It is the longest
// that the first one can have.
const interval = 1800

// agree waits until the authority knows all relays, and has it vote then.
func (n *Network) agree(deadline time.Time) error {
	authority := n.nodes[0]
	err := authority.until(deadline, "all relays have sent their descriptors", func() error {
		return authority.count("desc/all-recent", "router ")
	})
	if err != nil {
		return err
	}
	var due time.Time
	return authority.until(deadline, "there is a consensus", func() error {
		err := n.published()
		if err == nil || time.Since(due) < 5*time.Second {
			return err
		}
		// Votes are cast four seconds before the consensus is due.
		due = time.Now().Truncate(time.Second).Add(4 * time.Second)
		c, err := authority.own()
		if err == nil {
			_, err = c.Command(fmt.Sprintf("SETCONF TestingV3AuthVotingStartOffset=%d", due.Unix()%interval))
		}
		return errors.Join(err, errors.New("it is being made"))
	})
}

// published tells whether the authority gives away the consensus in both its forms.
// That takes a moment after there is one, until a thread has compressed it.
func (n *Network) published() error {
	if err := n.nodes[0].count("ns/all", "r "); err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for _, form := range []string{"consensus", "consensus-microdesc"} {
		resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/tor/status-vote/current/%s.z", n.dirPort, form))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", form, resp.Status)
		}
	}
	return nil
}

// tell makes the relays fetch the consensus. Of themselves they would wait longer
// and longer after each time that there was none.
func (n *Network) tell(deadline time.Time) error {
	for _, relay := range n.nodes[1:] {
		c, err := relay.own()
		if err == nil {
			_, err = c.Command("SIGNAL RELOAD")
		}
		if err != nil {
			return err
		}
	}
	for _, node := range n.nodes {
		if err := node.knows(deadline); err != nil {
			return err
		}
	}
	return nil
}

// knows waits until a tor knows all relays well enough to make circuits.
func (n *Tor) knows(deadline time.Time) error {
	return n.until(deadline, "it knows all relays", func() error {
		if err := n.count("md/all", "onion-key"); err != nil {
			return err
		}
		if enough, err := n.info("status/enough-dir-info"); err != nil || enough != "1" {
			return fmt.Errorf("enough-dir-info is %q: %w", enough, err)
		}
		return nil
	})
}

// count tells whether as many lines of what the tor has for a key begin with a word
// as there are relays.
func (n *Tor) count(key, word string) error {
	value, err := n.info(key)
	if err != nil {
		return err
	}
	if got, want := strings.Count("\n"+value, "\n"+word), relays+1; got != want {
		return fmt.Errorf("%s has %d of %d", key, got, want)
	}
	return nil
}
