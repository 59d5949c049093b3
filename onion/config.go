// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"xeiaso.net/site/internal/secret"
)

// Config configures a [Service]. Dir is required.
type Config struct {
	// Dir is a folder of the service's own, made if it is not there. Its part
	// "key" has the secret key, see [LoadKey]: who keeps a copy of it keeps the
	// address. Its part "tor" is tor's, and can be thrown away, except that an
	// anonymous service should stay with the guards that it has chosen.
	Dir string

	// Key is the key of the service. If zero, it is the one in Dir, where one is
	// made if there is none.
	Key Key

	// Mode is [Anonymous] or [SingleHop]. If empty, Anonymous.
	Mode Mode

	// Ports are the ports of the address that visitors can connect to, each with a
	// listener of its own. If nil, 80.
	Ports []int

	// PoW is the defence by proof of work: under a flood, visitors who computed for
	// longer come first. It is on where tor has it.
	PoW PoW

	// MaxStreams is how many connections one circuit may have open; 0: any number.
	// A circuit that wants more is closed if CloseOnMaxStreams is set.
	MaxStreams        int
	CloseOnMaxStreams bool

	// Introductions bounds what one introduction point passes on, so that a flood
	// stays at the introduction points. If zero, it does not.
	Introductions Rate

	// Clients are who may connect: the others cannot even read the descriptor. If
	// there are none, everybody may.
	Clients []ClientKey

	// Circuits has each connection tell which circuit it came by: see
	// [Info.Circuit], [LimitCircuits] and [Service.CloseCircuit].
	Circuits bool

	// OnionBalance is the address of which this service is a backend, see
	// https://onionservices.torproject.org/apps/base/onionbalance/. If empty, it is
	// none. Visitors then use that address, which [Private] allows.
	OnionBalance Address

	// With is a service whose tor is used for this one, too. What follows is then
	// taken from it and has to be zero here, and so has Mode.
	With *Service

	// Tor is the program. If empty, "tor" from the path.
	Tor string

	// Torrc are further lines of tor's configuration. Tor refuses those that
	// it does not know, and this package those that it needs itself.
	Torrc []string

	// Metrics has tor count for [Service.TorMetrics], at an address of this machine
	// that other programs on it can reach, too.
	Metrics bool

	// Control is the control port of a tor that runs already, as "127.0.0.1:9051",
	// or "unix:" and a path. That tor is neither configured nor ended. Introductions,
	// Circuits, OnionBalance, Tor, Torrc and Metrics cannot be had of it, and Mode
	// has to be its own. If empty, a tor is run as a child.
	Control string

	// ControlPassword is for the control port, if tor's cookie cannot be read.
	ControlPassword Secret

	// StartTimeout bounds the time from the start of tor until it answers. If 0,
	// 1 minute.
	StartTimeout time.Duration

	// PublishTimeout is how long tor may take without getting any further on the way
	// to a published service, before it is started anew. If 0, 5 minutes.
	PublishTimeout time.Duration

	// StopTimeout is how long tor has for ending. If 0, 5 seconds.
	StopTimeout time.Duration

	// Heartbeat is how often tor is asked whether it is alive. If it has not
	// answered for three times as long, it is killed. If 0, 10 seconds.
	Heartbeat time.Duration

	// ProbeEvery is how often the service looks itself up on the network. After
	// three looks in vain tor is started anew. If 0, 15 minutes; if negative, never.
	ProbeEvery time.Duration

	// MinBackoff and MaxBackoff are the bounds of the pause before tor is started
	// again. It doubles, until the service was ready for twice as long; of each, at
	// least the half is waited for, by chance. If 0, 1 second and 1 minute.
	MinBackoff, MaxBackoff time.Duration

	// LocationGrace is for how long [Service.Location] tells the address of a
	// service that is not ready any more. If 0, 30 seconds; if negative, it does
	// not.
	LocationGrace time.Duration

	// Logger is told what happens. If nil, nobody is.
	Logger *slog.Logger
}

// Secret is a string that does not print itself.
type Secret = secret.String

// Format writes which service is meant, and no secrets.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, "onion.Config("+c.Dir+")") }

// PoW configures the defence by proof of work:
// https://spec.torproject.org/hspow-spec/.
type PoW struct {
	// Off is to do without.
	Off bool
	// Queue bounds how many requests are answered in order of the work that was
	// done for them. If zero, it is tor's own, 250 a second and 2,500 at once.
	Queue Rate
}

// Rate bounds how often something happens.
type Rate struct {
	PerSecond int
	Burst     int // at once; if 0, ten times PerSecond
}

func (r Rate) burst() int {
	if r.Burst == 0 {
		return 10 * r.PerSecond
	}
	return r.Burst
}

// ClientKey lets somebody in whose tor has the secret half of it.
type ClientKey struct {
	// Name is for the operator: letters, digits, '-' and '_'.
	Name string
	// Public is the public key, X25519, as 52 letters and digits of base32, in
	// upper or lower case.
	Public string
}

// ParseClientKeys reads a list of clients: a line for each, with a name, and what
// tor calls the content of an .auth file, as
//
//	alice descriptor:x25519:N2NU7BSRL6YODZCYPN4CREB54TYLKGIE2KYOQWLFYC23ZJVCE5DQ
//
// Empty lines, and those that begin with #, do not count.
func ParseClientKeys(text string) ([]ClientKey, error) {
	var keys []ClientKey
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		public, ok := "", len(fields) == 2
		if ok {
			public, ok = strings.CutPrefix(fields[1], "descriptor:x25519:")
		}
		if !ok {
			return nil, fmt.Errorf("onion: line %d of the clients is not of the form: name descriptor:x25519:KEY", n)
		}
		k := ClientKey{Name: fields[0], Public: public}
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("onion: line %d of the clients: %w", n, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (k ClientKey) check() error {
	if k.Name == "" || strings.Trim(strings.ToLower(k.Name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return fmt.Errorf("the name %q is not of letters, digits, '-' and '_'", k.Name)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(k.Public))
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("the key of %q is not 52 letters and digits of base32", k.Name)
	}
	return nil
}

// The lines of a torrc that this package writes.
var ownOptions = []string{
	"DataDirectory", "ControlPort", "ControlSocket", "CookieAuthentication", "CookieAuthFile", "HashedControlPassword",
	"DisableNetwork", "__OwningControllerProcess", "RunAsDaemon", "HiddenServiceSingleHopMode", "HiddenServiceNonAnonymousMode",
	"MetricsPort", "MetricsPortPolicy", "PidFile", "User",
}

// check reports what is wrong, and fills in what is left out.
func (c *Config) check() error {
	if c.Dir == "" {
		return errors.New("onion: Config.Dir is empty: it is the folder of the key")
	}
	if c.With != nil {
		if err := c.share(); err != nil {
			return err
		}
	}
	if c.Mode == "" {
		c.Mode = Anonymous
	}
	if err := checkMode(c.Mode); err != nil {
		return err
	}
	if c.Ports == nil {
		c.Ports = []int{80}
	}
	for i, p := range c.Ports {
		if p < 1 || p > 65535 || slices.Contains(c.Ports[:i], p) {
			return fmt.Errorf("onion: the port %d is twice there, or not from 1 to 65535", p)
		}
	}
	if c.MaxStreams < 0 || c.MaxStreams > 65535 {
		return fmt.Errorf("onion: MaxStreams is %d, want 0 to 65535", c.MaxStreams)
	}
	for _, r := range []Rate{c.PoW.Queue, c.Introductions} {
		if r.PerSecond < 0 || r.Burst != 0 && r.Burst < r.PerSecond || r.PerSecond == 0 && r.Burst != 0 {
			return fmt.Errorf("onion: a rate of %d a second with bursts of %d is none: a burst is at least as many as a second has", r.PerSecond, r.Burst)
		}
	}
	for i, k := range c.Clients {
		if err := k.check(); err != nil {
			return fmt.Errorf("onion: %w", err)
		}
		if slices.ContainsFunc(c.Clients[:i], func(other ClientKey) bool { return strings.EqualFold(other.Name, k.Name) }) {
			return fmt.Errorf("onion: two clients have the name %q", k.Name)
		}
	}
	if c.OnionBalance != "" {
		if _, err := ParseAddress(string(c.OnionBalance)); err != nil {
			return err
		}
	}
	if err := c.checkTorrc(); err != nil {
		return err
	}
	if err := c.checkAttached(); err != nil {
		return err
	}
	return c.setDefaults()
}

// share takes from the other service what both have in common.
func (c *Config) share() error {
	if c.Mode != "" || c.Tor != "" || c.Torrc != nil || c.Metrics || c.Control != "" || c.ControlPassword != "" {
		return errors.New("onion: a service With another has that one's Mode, Tor, Torrc, Metrics and Control, and none of its own")
	}
	of := c.With.cfg
	c.Mode, c.Control, c.LocationGrace = of.Mode, of.Control, of.LocationGrace
	if c.Logger == nil {
		c.Logger = of.Logger
	}
	return nil
}

func (c *Config) checkTorrc() error {
	for _, line := range c.Torrc {
		if strings.ContainsAny(line, "\r\n\x00") {
			return fmt.Errorf("onion: the line %q of Torrc has a line break in it", line)
		}
		if strings.HasSuffix(line, `\`) {
			return fmt.Errorf("onion: the line %q of Torrc ends with a backslash, which would make the next one part of it", line)
		}
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		name := strings.TrimLeft(fields[0], "+/")
		own := slices.ContainsFunc(ownOptions, func(o string) bool { return strings.EqualFold(o, name) })
		if own || strings.HasPrefix(strings.ToLower(name), "hiddenservice") {
			return fmt.Errorf("onion: the line %q of Torrc is set by Config itself", line)
		}
	}
	return nil
}

// checkAttached reports what a tor that runs already cannot be told.
func (c *Config) checkAttached() error {
	if c.Control == "" {
		if c.ControlPassword != "" {
			return errors.New("onion: there is a ControlPassword, and Control is empty")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Control); err != nil && !strings.HasPrefix(c.Control, "unix:") {
		return fmt.Errorf("onion: Control is %q, want the address of a port, as 127.0.0.1:9051, or unix: and a path", c.Control)
	}
	for name, set := range map[string]bool{
		"Introductions": c.Introductions != Rate{}, "Circuits": c.Circuits, "OnionBalance": c.OnionBalance != "",
		"Tor": c.Tor != "", "Torrc": c.Torrc != nil, "Metrics": c.Metrics,
	} {
		if set {
			return fmt.Errorf("onion: %s cannot be had of a tor that runs already (Control is %q)", name, c.Control)
		}
	}
	return nil
}

func (c *Config) setDefaults() error {
	for name, d := range map[string]*time.Duration{
		"StartTimeout": &c.StartTimeout, "PublishTimeout": &c.PublishTimeout, "StopTimeout": &c.StopTimeout,
		"Heartbeat": &c.Heartbeat, "MinBackoff": &c.MinBackoff, "MaxBackoff": &c.MaxBackoff,
	} {
		if *d < 0 {
			return fmt.Errorf("onion: %s is %s, which is negative", name, *d)
		}
	}
	setDefault(&c.StartTimeout, time.Minute)
	setDefault(&c.PublishTimeout, 5*time.Minute)
	setDefault(&c.StopTimeout, 5*time.Second)
	setDefault(&c.Heartbeat, 10*time.Second)
	setDefault(&c.ProbeEvery, 15*time.Minute)
	setDefault(&c.MinBackoff, time.Second)
	setDefault(&c.MaxBackoff, max(time.Minute, c.MinBackoff))
	setDefault(&c.LocationGrace, 30*time.Second)
	if c.MinBackoff > c.MaxBackoff {
		return fmt.Errorf("onion: MinBackoff %s is more than MaxBackoff %s", c.MinBackoff, c.MaxBackoff)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
}
