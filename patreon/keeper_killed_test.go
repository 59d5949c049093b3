// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package patreon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
	"xeiaso.net/site/xesite/state"
)

// childEnv has this test binary, started again, be a program with a keeper in
// place of the tests.
const childEnv = "PATREON_TEST_CHILD"

func TestMain(m *testing.M) {
	job := os.Getenv(childEnv)
	if job == "" {
		os.Exit(m.Run())
	}
	var j killedJob
	if err := json.Unmarshal([]byte(job), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	run := j.keeper
	if j.Original {
		run = j.original
	}
	out, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line, _ := json.Marshal(out)
	fmt.Printf("end %s\n", line)
	// What a child must not do is to end by itself before its time.
	io.Copy(io.Discard, os.Stdin)
}

// killedJob is what a child does.
type killedJob struct {
	Dir, URL string
	// Stop is the step at which it waits to be killed. If empty, it goes on.
	Stop string
	// FailAfter is how many writes the store takes.
	FailAfter int
	// Settle has it wait until nothing is left to do.
	Settle bool
	// Original has it do as the program does that this one takes the place of.
	Original bool
	// Gate is a file; the child asks for a token once it is there.
	Gate string
}

// killedEnd is how a child has found things.
type killedEnd struct {
	Access, Err string
	Lost        bool
	State       string
	Problem     string
}

// killedTimeout bounds a call of a child.
const killedTimeout = 300 * time.Millisecond

func (j killedJob) step(name string) {
	fmt.Printf("step %s\n", name)
	if name == j.Stop {
		select {}
	}
}

func (j killedJob) gate() {
	for j.Gate != "" {
		if _, err := os.Stat(j.Gate); err == nil {
			return
		}
		<-time.After(time.Millisecond)
	}
}

// keeper asks a keeper for a token.
func (j killedJob) keeper() (killedEnd, error) {
	dir, err := state.OpenDir(filepath.Join(j.Dir, "store"))
	if err != nil {
		return killedEnd{}, err
	}
	k, err := patreon.NewKeeper(killedConfig(j.Dir, j.URL, &limited{Store: dir, limit: int64(j.FailAfter)}))
	if err != nil {
		return killedEnd{}, err
	}
	k.At(j.step)
	j.gate()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := k.Token(ctx)
	for j.Settle && ctx.Err() == nil {
		s, lookErr := k.Look(ctx)
		if lookErr != nil {
			return killedEnd{}, lookErr
		}
		if s.State == "lost" || s.IntentAt.IsZero() && s.RefreshAt.After(time.Now()) {
			break
		}
		<-time.After(20 * time.Millisecond)
		token, err = k.Token(ctx)
	}
	end := killedEnd{Access: token.Access.Reveal(), State: k.Status().State, Problem: k.Status().Problem}
	if err != nil {
		end.Err, end.Lost = err.Error(), errors.Is(err, patreon.ErrLineageLost)
	}
	end.Lost = end.Lost || end.State == "lost"
	return end, nil
}

func killedConfig(dir, address string, store patreon.Store) patreon.KeeperConfig {
	return patreon.KeeperConfig{
		Store: store, ClientID: "client", ClientSecret: "client-secret", BaseURL: address,
		HTTPClient:    &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		EmergencyPath: filepath.Join(dir, "emergency"),
		Timeout:       killedTimeout, Backoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	}
}

// limited is a store that takes so many writes, and then none; 0 means all.
type limited struct {
	patreon.Store
	limit  int64
	writes atomic.Int64
}

func (l *limited) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if l.writes.Add(1) > l.limit && l.limit > 0 {
		return false, syscall.ENOSPC
	}
	return l.Store.Swap(ctx, key, old, new)
}

// originalToken is what the original keeps.
type originalToken struct {
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	Expiry       time.Time `json:"expiry"`
}

func (t originalToken) valid() bool {
	return t.AccessToken != "" && (t.Expiry.IsZero() || time.Now().Before(t.Expiry))
}

// original does as a token source does that caches in a file: what there is is
// given out until it has ended by its own word, and none means never. Then the
// endpoint is called with the refresh token that was read at boot, and what
// comes is saved afterwards, over the file. An error of loading is ignored.
func (j killedJob) original() (killedEnd, error) {
	boot := readOriginal(filepath.Join(j.Dir, "seed.json"))
	path := filepath.Join(j.Dir, "cache.json")
	token := readOriginal(path)
	if token.AccessToken == "" {
		token = boot
	}
	if token.valid() {
		return killedEnd{Access: token.AccessToken}, nil
	}
	j.step("call")
	resp, err := http.PostForm(j.URL+"/api/oauth2/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "client_id": {"client"}, "client_secret": {"client-secret"},
	})
	if err != nil {
		return killedEnd{Err: err.Error()}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return killedEnd{Err: fmt.Sprintf("status %d: %s", resp.StatusCode, body)}, nil
	}
	j.step("the call has returned")
	var got struct {
		originalToken
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return killedEnd{Err: err.Error()}, nil
	}
	got.Expiry = time.Now().Add(time.Duration(got.ExpiresIn) * time.Second)
	f, err := os.Create(path)
	if err != nil {
		return killedEnd{}, err
	}
	defer f.Close()
	j.step("write the tokens")
	if err := json.NewEncoder(f).Encode(got.originalToken); err != nil {
		return killedEnd{}, err
	}
	j.step("the tokens are written")
	return killedEnd{Access: got.AccessToken}, nil
}

func readOriginal(path string) (t originalToken) {
	content, _ := os.ReadFile(path)
	_ = json.Unmarshal(content, &t) // as it does
	return t
}

// hospital has a fake, and programs that are killed.
type hospital struct {
	t       *testing.T
	fake    *patreontest.Server
	url     string
	dir     string
	creator string
	store   *state.Dir
	table   map[string]*killedRow
}

// killedRow counts what came of kills at one point.
type killedRow struct{ kills, usable, lost, silent, spent int }

func newHospital(t *testing.T) *hospital {
	h := &hospital{t: t, fake: patreontest.New(patreontest.Config{}), dir: t.TempDir(), table: map[string]*killedRow{}}
	h.fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret"})
	h.creator = h.fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	// The original has no user agent of its own.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("User-Agent", "test")
		h.fake.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	h.url = server.URL
	var err error
	if h.store, err = state.OpenDir(filepath.Join(h.dir, "store")); err != nil {
		t.Fatal(err)
	}
	h.seed()
	return h
}

// seed gives the keeper a new pair.
func (h *hospital) seed() {
	h.t.Helper()
	pair := h.fake.Portal("client", h.creator)
	k, err := patreon.NewKeeper(killedConfig(h.dir, h.url, h.store))
	if err != nil {
		h.t.Fatal(err)
	}
	seed := patreon.Seed{Access: patreon.Secret(pair.AccessToken), Refresh: patreon.Secret(pair.RefreshToken)}
	if err := k.Seed(h.t.Context(), seed, false); err != nil {
		h.t.Fatal(err)
	}
}

// record returns what the store has.
func (h *hospital) record() (fields map[string]any, raw []byte) {
	h.t.Helper()
	raw, err := h.store.Load(h.t.Context(), "patreon/token")
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return fields, raw
}

// age makes the tokens due, and the access token end if it has to.
func (h *hospital) age(expired bool) {
	h.t.Helper()
	fields, raw := h.record()
	issued := time.Now().UTC().Add(-20 * 24 * time.Hour)
	fields["issued_at"], fields["expires_at"] = issued, issued.Add(31*24*time.Hour)
	if expired {
		fields["expires_at"] = issued.Add(19 * 24 * time.Hour)
	}
	aged, err := json.Marshal(fields)
	if err != nil {
		h.t.Fatal(err)
	}
	if won, err := h.store.Swap(h.t.Context(), "patreon/token", raw, aged); !won || err != nil {
		h.t.Fatal(won, err)
	}
}

// accepted asks the fake whether it takes a token.
func (h *hospital) accepted(access string) bool {
	req := httptest.NewRequest(http.MethodGet, "/api/oauth2/v2/identity", nil)
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("User-Agent", "test")
	w := httptest.NewRecorder()
	h.fake.ServeHTTP(w, req)
	return access != "" && w.Code == http.StatusOK
}

// patient is a child.
type patient struct {
	h      *hospital
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *wait.Buffer
	lines  chan string // closed at its end
}

func (h *hospital) start(j killedJob) *patient {
	h.t.Helper()
	j.Dir, j.URL = h.dir, h.url
	job, err := json.Marshal(j)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &patient{h: h, cmd: exec.Command(os.Args[0]), stderr: &wait.Buffer{}, lines: make(chan string, 1000)}
	// The race detector lets a program end only after a second.
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(job), "GORACE="+strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	return p
}

// until reads what the child says until that is one of these.
func (p *patient) until(beginnings ...string) string {
	p.h.t.Helper()
	deadline := time.After(wait.Patience)
	var said []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.cmd.Wait()
				p.h.t.Fatalf("the child ended before %q:\n%s", beginnings, p.stderr)
			}
			said = append(said, line)
			if slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(line, b) }) {
				return line
			}
		case <-deadline:
			p.kill()
			p.h.t.Fatalf("the child never said %q, but %q:\n%s", beginnings, said, p.stderr)
		}
	}
}

func (p *patient) kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	for range p.lines {
	}
	p.cmd.Wait()
}

// end returns how a child that is not killed has found things.
func (p *patient) end() killedEnd {
	p.h.t.Helper()
	line := p.until("end ")
	p.stdin.Close()
	for range p.lines {
	}
	if err := p.cmd.Wait(); err != nil {
		p.h.t.Fatalf("%v:\n%s", err, p.stderr)
	}
	var e killedEnd
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "end ")), &e); err != nil {
		p.h.t.Fatal(err)
	}
	return e
}

// afterwards starts another program after a kill, and counts what it finds.
// mayLose tells that the pair may be lost.
func (h *hospital) afterwards(point string, before patreontest.Stats, mayLose bool) {
	h.t.Helper()
	h.fake.ClearFaults()
	end := h.start(killedJob{Settle: true}).end()
	after := h.fake.Stats()
	spent, made := after.SpentRefreshTokensUsed-before.SpentRefreshTokensUsed, after.Refreshes-before.Refreshes
	row := h.row(point)
	row.kills++
	row.spent += spent
	current, _ := h.fake.Current("client", h.creator)
	fields, _ := h.record()
	switch {
	case end.Lost:
		row.lost++
		// A refresh token is lost only if it was spent, and the answer nowhere.
		if !mayLose || made != 1 || spent > 1 || end.Access != "" && !h.accepted(end.Access) {
			h.t.Errorf("killed at %q: the lineage is lost: %d refreshes, %d with a spent token, %+v", point, made, spent, end)
		}
		h.seed()
	case h.accepted(end.Access) && fields["refresh_token"] == current.RefreshToken:
		row.usable++
		if spent != 0 {
			h.t.Errorf("killed at %q: a spent token was used %d times", point, spent)
		}
	default:
		row.silent++
		h.t.Errorf("killed at %q: there is no good token, and nobody says so: %+v", point, end)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "emergency")); err == nil {
		h.t.Errorf("killed at %q: the emergency file is still there", point)
	}
}

func (h *hospital) row(point string) *killedRow {
	if h.table[point] == nil {
		h.table[point] = &killedRow{}
	}
	return h.table[point]
}

func (h *hospital) report() {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-58s %5s %6s %4s %6s %5s\n", "killed at", "kills", "usable", "lost", "silent", "spent")
	for _, point := range slices.Sorted(maps.Keys(h.table)) {
		r := h.table[point]
		fmt.Fprintf(&b, "%-58s %5d %6d %4d %6d %5d\n", point, r.kills, r.usable, r.lost, r.silent, r.spent)
	}
	h.t.Logf("\n%s", &b)
}

// killedPoint is where a program is killed.
type killedPoint struct {
	name      string
	step      string // at which the child stops
	fault     patreontest.Kind
	failAfter int  // writes that the store takes
	lost      bool // whether the pair is gone
	replaced  bool // somebody uses the portal first
	again     string
}

func killedPoints() []killedPoint {
	return []killedPoint{
		{name: "01 read the record", step: "read the record"},
		{name: "02 write the intent", step: "write the intent"},
		{name: "03 the intent is written", step: "the intent is written"},
		{name: "04 call", step: "call"},
		{name: "05 the server has the request, and has not acted", fault: patreontest.Hang},
		{name: "06 the server has acted, and not answered", fault: patreontest.HangAfter, lost: true},
		{name: "07 the connection was cut in place of an answer", fault: patreontest.CutAfter, step: "the call has returned", lost: true},
		{name: "08 half of the answer was sent", fault: patreontest.CutAnswer, step: "the call has returned", lost: true},
		{name: "09 the call has returned", step: "the call has returned", lost: true},
		{name: "10 write the tokens", step: "write the tokens", lost: true},
		{name: "11 the tokens are written", step: "the tokens are written"},
		{name: "12 write the emergency file", step: "write the emergency file", failAfter: 1, lost: true},
		{name: "13 the emergency file is written", step: "the emergency file is written", failAfter: 1},
		{name: "14 the tokens are given out, and in the emergency file", failAfter: 1},
		{name: "15 write the tokens of the emergency file", failAfter: 1, again: "write the tokens of the emergency file"},
		{name: "16 the tokens of the emergency file are written", failAfter: 1, again: "the tokens of the emergency file are written"},
		{name: "17 write that it is lost", step: "write that it is lost", replaced: true},
	}
}

// at kills a program at a point.
func (h *hospital) at(point killedPoint, expired bool) {
	h.t.Helper()
	h.age(expired)
	before := h.fake.Stats()
	met := make(chan struct{}, 1)
	if point.fault != patreontest.None {
		h.fake.Next(1, patreontest.Fault{Kind: point.fault, On: patreontest.OnToken, Met: func(*http.Request) { met <- struct{}{} }})
	}
	if point.replaced {
		h.fake.Portal("client", h.creator)
	}
	p := h.start(killedJob{Stop: point.step, FailAfter: point.failAfter})
	switch {
	case point.step != "":
		// A disk that stands still for a while has it put the call off, as it should.
		line := p.until("step "+point.step, "end ")
		if strings.Contains(line, "a faster store is needed") {
			h.t.Logf("not killed at %q: %s", point.name, line)
			p.kill()
			h.afterwards("not reached, since the disk was slow", before, false)
			return
		}
		if strings.HasPrefix(line, "end ") {
			h.t.Fatalf("the child was not at %q: %s", point.name, line)
		}
	case point.fault == patreontest.HangAfter:
		wait.Until(h.t, "the server has acted", func() bool { return h.fake.Stats().Refreshes > before.Refreshes })
	case point.fault != patreontest.None:
		<-met
	default:
		p.until("end ")
	}
	p.kill()
	if point.again != "" {
		p := h.start(killedJob{Stop: point.again})
		p.until("step " + point.again)
		p.kill()
	}
	if point.replaced {
		h.replaced(point, before)
		return
	}
	lost := h.row(point.name).lost
	h.afterwards(point.name, before, point.lost)
	if got := h.row(point.name).lost > lost; got != point.lost {
		h.t.Errorf("killed at %q: lost %t, want %t", point.name, got, point.lost)
	}
}

// replaced is what comes after a kill when somebody has used the portal.
func (h *hospital) replaced(point killedPoint, before patreontest.Stats) {
	end := h.start(killedJob{Settle: true}).end()
	row := h.row(point.name)
	row.kills++
	if !end.Lost {
		h.t.Errorf("killed at %q: %+v", point.name, end)
	}
	if n := h.fake.Stats().InvalidGrants - before.InvalidGrants; n != 2 {
		h.t.Errorf("killed at %q: %d refusals, want 2", point.name, n)
	}
	row.lost++
	h.seed()
}

// TestAKilledProcessLosesNoTokens kills a program at each point of a
// refresh, and at random ones. The next program has a token that is good, or
// says that the lineage is lost, and that only where Patreon made a pair and the
// answer did not outlive the program.
func TestAKilledProcessLosesNoTokens(t *testing.T) {
	h := newHospital(t)
	defer h.report()
	for range need.Times(1, 20) {
		for i, point := range killedPoints() {
			h.at(point, i%2 == 1)
		}
	}
	for range need.Times(8, 150) {
		h.anywhere("random", 0)
	}
	for i := range need.Times(8, 100) {
		h.fake.Random(uint64(i), 0.4, flakyToken()...)
		h.anywhere("random, with a flaky server", 0)
	}
	for range need.Times(8, 100) {
		h.anywhere("random, with a store that is full after the intent", 1)
	}
}

func flakyToken() (all []patreontest.Fault) {
	for _, kind := range []patreontest.Kind{
		patreontest.CutBefore, patreontest.CutAfter, patreontest.CutAnswer, patreontest.ServerError, patreontest.ServerErrorAfter,
		patreontest.RateLimitedBare, patreontest.Truncated, patreontest.NullBody, patreontest.HTMLSuccess, patreontest.AccessMissing, patreontest.Slow, patreontest.Hang,
	} {
		all = append(all, patreontest.Fault{Kind: kind, On: patreontest.OnToken, Wait: 20 * time.Millisecond})
	}
	return all
}

// anywhere kills a program some time after some step, or lets it end.
func (h *hospital) anywhere(name string, failAfter int) {
	h.t.Helper()
	h.age(rand.N(2) == 0)
	before := h.fake.Stats()
	p := h.start(killedJob{FailAfter: failAfter})
	for range 1 + rand.N(9) {
		if line := p.until("step ", "end "); strings.HasPrefix(line, "end ") {
			break
		}
	}
	<-time.After(rand.N(4 * time.Millisecond))
	p.kill()
	h.afterwards(name, before, true)
}

// TestTheOriginalLosesTokensWhenKilled holds the logic of the program that this
// one takes the place of against the same matrix, which shows that the matrix can
// tell.
func TestTheOriginalLosesTokensWhenKilled(t *testing.T) {
	h := newHospital(t)
	defer h.report()
	for _, point := range []killedPoint{
		{name: "04 call", step: "call"},
		{name: "05 the server has the request, and has not acted", fault: patreontest.Hang},
		{name: "06 the server has acted, and not answered", fault: patreontest.HangAfter, lost: true},
		{name: "09 the call has returned", step: "the call has returned", lost: true},
		{name: "10 write the tokens", step: "write the tokens", lost: true},
		{name: "11 the tokens are written", step: "the tokens are written"},
	} {
		h.originalAt(point)
	}
	h.originalWithoutExpiry()
}

// plant gives the original a pair.
func (h *hospital) plant(expiry time.Time) originalToken {
	h.t.Helper()
	pair := h.fake.Portal("client", h.creator)
	token := originalToken{pair.AccessToken, pair.RefreshToken, expiry}
	content, err := json.Marshal(token)
	if err == nil {
		err = os.WriteFile(filepath.Join(h.dir, "seed.json"), content, 0o600)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(h.dir, "cache.json"))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

func (h *hospital) originalAt(point killedPoint) {
	h.t.Helper()
	h.plant(time.Now().Add(-time.Hour))
	before := h.fake.Stats()
	met := make(chan struct{}, 1)
	if point.fault != patreontest.None {
		h.fake.Next(1, patreontest.Fault{Kind: point.fault, On: patreontest.OnToken, Met: func(*http.Request) { met <- struct{}{} }})
	}
	p := h.start(killedJob{Original: true, Stop: point.step})
	switch {
	case point.step != "":
		p.until("step " + point.step)
	case point.lost:
		wait.Until(h.t, "the server has acted", func() bool { return h.fake.Stats().Refreshes > before.Refreshes })
	default:
		<-met
	}
	p.kill()
	row := h.row(point.name)
	row.kills++
	var end killedEnd
	for range 3 { // it never learns
		end = h.start(killedJob{Original: true}).end()
	}
	spent := h.fake.Stats().SpentRefreshTokensUsed - before.SpentRefreshTokensUsed
	row.spent += spent
	if h.accepted(end.Access) {
		row.usable++
	} else {
		row.silent++ // there is no state in which it would say so
	}
	if usable := h.accepted(end.Access); usable == point.lost || point.lost && spent != 3 {
		h.t.Errorf("the original, killed at %q: usable %t, %d times with a spent token: %+v", point.name, usable, spent, end)
	}
}

// originalWithoutExpiry shows what a seed from the page of the client comes to,
// which has no expiry: for the original it lasts for ever.
func (h *hospital) originalWithoutExpiry() {
	h.t.Helper()
	token := h.plant(time.Time{})
	h.fake.Revoke(token.AccessToken) // as if it had ended
	before := h.fake.Stats()
	row := h.row("a seed without expiry")
	row.kills++
	end := h.start(killedJob{Original: true}).end()
	if row.silent++; h.accepted(end.Access) || end.Err != "" || h.fake.Stats().Refreshes != before.Refreshes {
		h.t.Errorf("the original has noticed that its token has ended: %+v", end)
	}
}

// TestSoakManyProcessesRefreshOnce has several programs come for a token at the
// moment at which it has ended.
func TestSoakManyProcessesRefreshOnce(t *testing.T) {
	h := newHospital(t)
	for round := range need.Times(4, 60) {
		h.age(round%2 == 0)
		before := h.fake.Stats()
		gate := filepath.Join(h.dir, fmt.Sprint("gate", round))
		var all []*patient
		for range 3 {
			all = append(all, h.start(killedJob{Gate: gate, Settle: true}))
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if end := p.end(); !h.accepted(end.Access) || end.Lost {
				t.Errorf("round %d: %+v", round, end)
			}
		}
		after := h.fake.Stats()
		if made, spent := after.Refreshes-before.Refreshes, after.SpentRefreshTokensUsed-before.SpentRefreshTokensUsed; made != 1 || spent != 0 {
			t.Fatalf("round %d: %d refreshes, %d with a spent token", round, made, spent)
		}
	}
}
