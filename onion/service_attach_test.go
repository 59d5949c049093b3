// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

var singleHop = []string{"SocksPort 0", "HiddenServiceNonAnonymousMode 1", "HiddenServiceSingleHopMode 1"}

// attached has a service be added to a tor that is somebody else's.
func attached(control string, mode onion.Mode) func(*onion.Config) {
	return func(c *onion.Config) {
		c.Control, c.Torrc, c.Mode = control, nil, mode
		c.MaxStreams, c.CloseOnMaxStreams = 100, true
	}
}

func TestATorOfSomebodyElseIsUsedAndLeftAlone(t *testing.T) {
	n := tornet.Need(t)
	tor := n.Tor(t, "foreign", singleHop...)
	h := open(t, http.HandlerFunc(tells), attached("unix:"+filepath.Join(tor.Dir, "control"), onion.SingleHop))
	if _, body := h.get("/"); !strings.HasPrefix(body, "true "+string(h.Address())) {
		t.Errorf("it answers %q", body)
	}
	if s := h.State(); s.PID != 0 || s.TorVersion == "" {
		t.Errorf("the state is %+v", s)
	}
	if err := h.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	// The connection is lost, and made again.
	h.CutControl()
	wait.Until(t, "it is added again", func() bool { return h.Stats().Restarts["control"] == 1 && h.State().Phase == onion.Ready })
	h.get("/")
	h.stop()
	select {
	case <-tor.Exited():
		t.Error("the tor has ended")
	default:
	}
	// Nothing of the service is left in it.
	if _, err := tor.Control(t).Command("DEL_ONION " + h.Address().ID()); err == nil {
		t.Error("the service is still there")
	}
}

func TestATorThatDoesNotFitIsRefused(t *testing.T) {
	n := tornet.Need(t)
	tor := n.Tor(t, "other-mode", singleHop...)
	control := "unix:" + filepath.Join(tor.Dir, "control")
	s, err := onion.New(onion.Config{Dir: t.TempDir(), Control: control, Mode: onion.Anonymous})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, onion.ErrTorConfig) || !strings.Contains(err.Error(), "non-anonymous") {
		t.Errorf("the error is %v", err)
	}
}

// script is a tor whose answers and events a test decides, at a control port.
type script struct {
	t  testing.TB
	at string

	mu    sync.Mutex
	says  answers
	conns []net.Conn
	heard []string
}

func newScript(t testing.TB, says answers) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &script{t: t, at: l.Addr().String(), says: usual(answers{
		"GETINFO version":    "250-version=0.4.9.11\r\n250 OK\r\n",
		"GETINFO process":    "250-process/pid=1\r\n250 OK\r\n",
		"SETEVENTS":          "250 OK\r\n",
		"GETINFO status":     "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n250 OK\r\n",
		"ADD_ONION":          "250-ServiceID=x\r\n250 OK\r\n",
		"DEL_ONION":          "250 OK\r\n",
		"HSFETCH":            "250 OK\r\n",
		"TAKEOWNERSHIP":      "550 that is not for you\r\n",
		"SIGNAL":             "550 that is not for you\r\n",
		"SETCONF DisableNet": "550 that is not for you\r\n",
	})}
	maps.Copy(s.says, says)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			go s.serve(conn)
		}
	}()
	return s
}

func (s *script) serve(conn net.Conn) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.heard = append(s.heard, line)
		answer, best := "510 Unrecognized command\r\n", 0
		for begin, text := range s.says {
			if strings.HasPrefix(line, begin) && len(begin) > best {
				answer, best = text, len(begin)
			}
		}
		s.mu.Unlock()
		if answer == "EOF" {
			return
		}
		io.WriteString(conn, answer)
	}
}

// tell sends an event.
func (s *script) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.conns[len(s.conns)-1], "650 "+format+"\r\n", args...)
}

// change changes an answer.
func (s *script) change(command, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[command] = answer
}

// commands are what was sent, by their first words.
func (s *script) commands() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.heard {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names
}

// play runs a service at a script.
func (s *script) play(edit func(*onion.Config)) *onion.Service {
	s.t.Helper()
	cfg := onion.Config{
		Dir: s.t.TempDir(), Control: s.at, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		Heartbeat: 20 * time.Millisecond, ProbeEvery: -1,
	}
	if edit != nil {
		edit(&cfg)
	}
	service, err := onion.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	return service
}

// becomes waits for a phase.
func becomes(t testing.TB, s *onion.Service, phase onion.Phase, match error) {
	t.Helper()
	wait.Until(t, "the service is "+string(phase), func() bool {
		st := s.State()
		return st.Phase == phase && (match == nil || errors.Is(st.Err, match))
	})
}

func TestAServiceIsDegradedWhileItCannotBeFound(t *testing.T) {
	tor := newScript(t, nil)
	s := tor.play(nil)
	id := s.Address().ID()
	becomes(t, s, onion.Publishing, nil)
	tor.tell("HS_DESC CREATED %s UNKNOWN UNKNOWN x", id)
	tor.tell("HS_DESC UPLOADED %s UNKNOWN $AB~r", strings.Repeat("a", 56)) // somebody else's
	tor.tell("HS_DESC UPLOADED %s UNKNOWN $AB~r", id)
	becomes(t, s, onion.Ready, nil)

	// The network goes away and comes back.
	tor.tell("NETWORK_LIVENESS DOWN")
	becomes(t, s, onion.Degraded, nil)
	tor.tell("NETWORK_LIVENESS UP")
	becomes(t, s, onion.Ready, nil)

	// One directory that refuses is no reason, many are.
	for i := range 20 {
		tor.tell("HS_DESC FAILED %s UNKNOWN $AB~r%d x REASON=UPLOAD_REJECTED", id, i)
	}
	becomes(t, s, onion.Degraded, onion.ErrPublish)
	tor.tell("HS_DESC UPLOADED %s UNKNOWN $AB~r", id)
	becomes(t, s, onion.Ready, nil)
	if st := s.Stats(); st.Uploads != 2 || st.FailedUploads != 20 {
		t.Errorf("%+v", st)
	}
	if got := tor.commands(); slices.Contains(got, "TAKEOWNERSHIP") || slices.Contains(got, "SIGNAL") || slices.Contains(got, "SETCONF") {
		t.Errorf("somebody else's tor was told %q", got)
	}
}

func TestAServiceThatIsNotFoundGetsANewStart(t *testing.T) {
	tor := newScript(t, nil)
	s := tor.play(func(c *onion.Config) { c.ProbeEvery = 20 * time.Millisecond })
	id := s.Address().ID()
	answer := func(events ...string) {
		var text strings.Builder
		text.WriteString("250 OK\r\n")
		for _, e := range events {
			text.WriteString("650 HS_DESC " + strings.ReplaceAll(e, "ID", id) + "\r\n")
		}
		tor.change("HSFETCH", text.String())
	}
	answer("REQUESTED ID NO_AUTH $AB~r x", "FAILED ID NO_AUTH $AB~r x REASON=NOT_FOUND")
	becomes(t, s, onion.Publishing, nil)
	tor.tell("HS_DESC UPLOADED %s UNKNOWN $AB~r", id)
	wait.Until(t, "it was started again", func() bool { return s.Stats().Restarts["probe"] == 1 })
	answer("REQUESTED ID NO_AUTH $AB~r x", "RECEIVED ID NO_AUTH $AB~r x")
	becomes(t, s, onion.Publishing, nil)
	tor.tell("HS_DESC UPLOADED %s UNKNOWN $AB~r", id)
	becomes(t, s, onion.Ready, nil)
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	answer("FAILED ID NO_AUTH $AB~r x REASON=NOT_FOUND")
	if err := s.Probe(t.Context()); !errors.Is(err, onion.ErrPublish) || !strings.Contains(err.Error(), "NOT_FOUND") {
		t.Errorf("the error is %v", err)
	}
}

func TestAServiceThatIsNotPublishedGetsANewStart(t *testing.T) {
	tor := newScript(t, nil)
	s := tor.play(func(c *onion.Config) { c.PublishTimeout = 50 * time.Millisecond })
	wait.Until(t, "it was started again", func() bool { return s.Stats().Restarts["bootstrap"] >= 1 })
	wait.Until(t, "the state tells why", func() bool { return errors.Is(s.State().Err, onion.ErrPublish) })
}

func TestControlPortsFail(t *testing.T) {
	for name, c := range map[string]struct {
		says  answers
		match error
		want  string
	}{
		"old":          {answers{"GETINFO version": "250-version=0.4.5.6\r\n250 OK\r\n"}, onion.ErrTorTooOld, "0.4.5.6"},
		"no version":   {answers{"GETINFO version": "551 Internal error\r\n"}, nil, "GETINFO"},
		"login":        {answers{"AUTHENTICATE": "515 Authentication failed\r\n"}, nil, "password"},
		"hangs up":     {answers{"SETEVENTS": "EOF"}, onion.ErrControlLost, "closed"},
		"says nothing": {answers{"SETEVENTS": ""}, onion.ErrUnresponsive, "within"},
		"refuses":      {answers{"ADD_ONION": "512 Bad arguments to ADD_ONION\r\n"}, onion.ErrTorConfig, "512"},
		"is there yet": {answers{"ADD_ONION": "550 Onion address collision\r\n"}, nil, "550"},
	} {
		t.Run(name, func(t *testing.T) {
			tor := newScript(t, c.says)
			s, err := onion.New(onion.Config{Dir: t.TempDir(), Control: tor.at, ControlPassword: "hush", StartTimeout: 100 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			var last onion.State
			for last = range s.States(ctx) {
				if last.Phase == onion.Backoff || last.Phase == onion.Failed {
					break
				}
			}
			if text := fmt.Sprint(last.Err); c.match != nil && !errors.Is(last.Err, c.match) || !strings.Contains(text, c.want) || strings.Contains(text, "hush") {
				t.Errorf("the state is %+v", last)
			}
			cancel()
			<-ended
		})
	}
}

func TestAnOldTorIsNotAskedForProofOfWork(t *testing.T) {
	tor := newScript(t, nil)
	tor.change("ADD_ONION", "512 Unrecognized option: PoWDefensesEnabled\r\n")
	asked := func() (with, without int) {
		tor.mu.Lock()
		defer tor.mu.Unlock()
		for _, line := range tor.heard {
			if strings.HasPrefix(line, "ADD_ONION") {
				if strings.Contains(line, "PoW") {
					with++
				} else {
					without++
				}
			}
		}
		return with, without
	}
	s, err := onion.New(onion.Config{Dir: t.TempDir(), Control: tor.at, Mode: onion.SingleHop})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, onion.ErrTorConfig) {
		t.Errorf("the error is %v", err)
	}
	if with, without := asked(); with != 1 || without != 1 {
		t.Errorf("it was asked %d times with and %d times without", with, without)
	}
}
