// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const hookSecret patreon.Secret = "made-up-webhook-secret"

func newHandler(t testing.TB, edit func(*patreon.WebhookConfig)) *patreon.WebhookHandler {
	t.Helper()
	cfg := patreon.WebhookConfig{Secrets: patreon.Secrets(hookSecret), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if edit != nil {
		edit(&cfg)
	}
	h, err := patreon.NewWebhookHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// delivery is a request as Patreon makes it.
func delivery(event, body string, secret patreon.Secret) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Patreon-Event", event)
	r.Header.Set("X-Patreon-Signature", patreon.SignWebhook(secret, []byte(body)))
	return r
}

func answerOf(h http.Handler, r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// expect makes a delivery and compares the status.
func expect(t *testing.T, h http.Handler, want int, what string, r *http.Request) {
	t.Helper()
	if code, body := answerOf(h, r); code != want {
		t.Errorf("%s: %d %s, want %d", what, code, body, want)
	}
}

func TestSignaturesAreThoseOfTheVectors(t *testing.T) {
	for _, v := range []struct {
		secret          patreon.Secret
		body, signature string
	}{
		{"Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"}, // RFC 2202
		{"secret", "testing", "a964f51f0ae9c643aca91bfbc66f6d78"},
		{"secret", `{"data":{"type":"post"}}`, "607ab2394f5c0de6f35b1aabecd0c851"},
	} {
		if got := patreon.SignWebhook(v.secret, []byte(v.body)); got != v.signature {
			t.Errorf("%q is signed with %s, want %s", v.body, got, v.signature)
		}
		if !patreon.VerifyWebhook([]byte(v.body), v.signature, v.secret) {
			t.Errorf("the signature of %q is not taken", v.body)
		}
	}
}

func TestEachChangedBitMakesASignatureWrong(t *testing.T) {
	const secret, body, signature = "secret", "testing", "a964f51f0ae9c643aca91bfbc66f6d78"
	for _, text := range []string{body, signature} {
		for bit := range 8 * len(text) {
			b, s := []byte(body), []byte(signature)
			if text == body {
				b[bit/8] ^= 1 << (bit % 8)
			} else {
				s[bit/8] ^= 1 << (bit % 8)
			}
			if patreon.VerifyWebhook(b, string(s), secret) {
				t.Errorf("%q is taken with %q", b, s)
			}
		}
	}
}

func TestSignaturesThatAreNoneAreNotTaken(t *testing.T) {
	const body, signature = "testing", "a964f51f0ae9c643aca91bfbc66f6d78"
	for _, s := range []string{"", "a964", strings.ToUpper(signature), signature[:31], signature + "0", signature + signature, "md5=" + signature, strings.Repeat("0", 32)} {
		if patreon.VerifyWebhook([]byte(body), s, "secret") {
			t.Errorf("%q is taken", s)
		}
	}
	if patreon.VerifyWebhook([]byte(body), signature) {
		t.Error("one is taken without a secret")
	}
	if patreon.VerifyWebhook([]byte(body), patreon.SignWebhook("", []byte(body)), "") {
		t.Error("that of the empty secret is taken")
	}
	if !patreon.VerifyWebhook([]byte(body), signature, "", "other", "secret") {
		t.Error("the last one of several secrets does not count")
	}
}

func TestADeliveryNeedsOneRightSignature(t *testing.T) {
	h := newHandler(t, nil)
	missing := delivery("members:update", `{"n":1}`, hookSecret)
	missing.Header.Del("X-Patreon-Signature")
	expect(t, h, 401, "missing", missing)
	doubled := delivery("members:update", `{"n":1}`, hookSecret)
	doubled.Header.Add("X-Patreon-Signature", doubled.Header.Get("X-Patreon-Signature"))
	expect(t, h, 401, "doubled", doubled)
	expect(t, h, 401, "another secret", delivery("members:update", `{"n":1}`, "another"))
	expect(t, h, 202, "right", delivery("members:update", `{"n":1}`, hookSecret))
	empty := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.Secrets = patreon.Secrets("") })
	expect(t, empty, 401, "the empty secret", delivery("members:update", `{"n":1}`, ""))
	if _, err := patreon.NewWebhookHandler(patreon.WebhookConfig{}); err == nil {
		t.Error("a handler without secrets can be made")
	}
}

func TestSecretsCanChangeWhileDeliveriesCome(t *testing.T) {
	var secrets atomic.Pointer[[]patreon.Secret]
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.Secrets = func(context.Context) ([]patreon.Secret, error) {
			if all := secrets.Load(); all != nil {
				return *all, nil
			}
			return nil, errors.New("the store is away")
		}
	})
	expect(t, h, 503, "no store", delivery("members:update", "1", "old"))
	secrets.Store(&[]patreon.Secret{"old"})
	expect(t, h, 202, "before", delivery("members:update", "1", "old"))
	secrets.Store(&[]patreon.Secret{"new", "old"})
	expect(t, h, 202, "old meanwhile", delivery("members:update", "2", "old"))
	expect(t, h, 202, "new meanwhile", delivery("members:update", "3", "new"))
	secrets.Store(&[]patreon.Secret{"new"})
	expect(t, h, 401, "old afterwards", delivery("members:update", "4", "old"))
}

func TestAReplayIsTakenAgainOnceItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken []patreon.Trigger
		h := newHandler(t, func(cfg *patreon.WebhookConfig) {
			cfg.OnEvent = func(_ context.Context, e patreon.Event) error {
				taken = append(taken, e.Trigger)
				return nil
			}
		})
		body := `{"data":{"type":"member","id":"m"}}`
		expect(t, h, 202, "first", delivery("members:update", body, hookSecret))
		expect(t, h, 200, "again", delivery("members:update", body, hookSecret))
		expect(t, h, 202, "as another event", delivery("members:pledge:update", body, hookSecret))
		pass(24*time.Hour - time.Second)
		expect(t, h, 200, "a day later, nearly", delivery("members:update", body, hookSecret))
		pass(time.Second)
		expect(t, h, 202, "a day later", delivery("members:update", body, hookSecret))
		if len(taken) != 3 {
			t.Errorf("%d were taken: %q", len(taken), taken)
		}
		want := map[patreon.Delivery]uint64{
			{Trigger: "members:update", Result: "accepted"}:        2,
			{Trigger: "members:update", Result: "duplicate"}:       2,
			{Trigger: "members:pledge:update", Result: "accepted"}: 1,
		}
		if diff := cmp.Diff(want, h.Deliveries()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEveryReplayIsTakenWithoutDedupe(t *testing.T) {
	h := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.Dedupe = -1 })
	for range 3 {
		expect(t, h, 202, "one more", delivery("members:update", "{}", hookSecret))
	}
}

func TestBodiesHaveALimit(t *testing.T) {
	h := newHandler(t, nil)
	body := `{"data":{"type":"member","id":"m","attributes":{"note":"` + strings.Repeat("n", 17<<10) + `"}}}`
	expect(t, h, 202, "17 KiB", delivery("members:update", body, hookSecret))
	h = newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.MaxBody = 1000 })
	expect(t, h, 202, "as long as may be", delivery("members:update", strings.Repeat("x", 1000), hookSecret))
	expect(t, h, 413, "one byte more", delivery("members:update", strings.Repeat("x", 1001), hookSecret))
	chunked := delivery("members:update", strings.Repeat("y", 1001), hookSecret)
	chunked.ContentLength = -1
	expect(t, h, 413, "one byte more, in chunks", chunked)
}

func TestWhatIsNoDeliveryIsRefused(t *testing.T) {
	h := newHandler(t, nil)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		r := delivery("members:update", "{}", hookSecret)
		r.Method = method
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 405 || w.Header().Get("Allow") != "POST" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v", method, w.Code, w.Header())
		}
	}
	gzipped := delivery("members:update", "{}", hookSecret)
	gzipped.Header.Set("Content-Encoding", "gzip")
	expect(t, h, 415, "gzip", gzipped)
	if got := h.Deliveries()[patreon.Delivery{Result: "refused"}]; got != 6 {
		t.Errorf("%d were counted", got)
	}
}

// Patreon pauses a webhook whose deliveries fail, so that an event that does not
// matter must not.
func TestWhatDoesNotMatterIsTakenWithThanks(t *testing.T) {
	told := 0
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.Only = patreon.MemberTriggers()
		cfg.OnEvent = func(context.Context, patreon.Event) error { told++; return nil }
	})
	expect(t, h, 200, "a post", delivery("posts:publish", `{"data":{"type":"post","id":"1"}}`, hookSecret))
	expect(t, h, 200, "an event of the future", delivery("lives:start", "{}", hookSecret))
	expect(t, h, 200, "no event", delivery("", "{}", hookSecret))
	expect(t, h, 200, "an event of version 1", delivery("pledges:update", "{}", hookSecret))
	if told != 0 {
		t.Errorf("OnEvent was told %d times", told)
	}
	want := map[patreon.Delivery]uint64{
		{Trigger: "posts:publish", Result: "ignored"}: 1, {Trigger: "pledges:update", Result: "ignored"}: 1, {Result: "unknown"}: 2,
	}
	if diff := cmp.Diff(want, h.Deliveries()); diff != "" {
		t.Error(diff)
	}
	if _, err := patreon.NewWebhookHandler(patreon.WebhookConfig{Secrets: patreon.Secrets("s"), Only: []patreon.Trigger{"members:updated"}}); err == nil {
		t.Error("a trigger that does not exist can be chosen")
	}
}

func TestEventsAreReadAsFarAsTheyCanBe(t *testing.T) {
	var last patreon.Event
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.OnEvent = func(_ context.Context, e patreon.Event) error { last = e; return nil }
	})
	for _, c := range []struct {
		event, body, kind, id string
	}{
		{"members:create", `{"data":{"type":"member","id":"m-1"}}`, "member", "m-1"},
		{"posts:update", string(patreontest.PortalTest("posts:update")), "post", ""},
		{"members:update", string(patreontest.PortalTest("members:update")), "member", ""},
		{"pledges:create", string(patreontest.V1Pledge("pledges:create")), "pledge", "1"},
		{"pledges:update", string(patreontest.V1Pledge("pledges:update")), "pledge", "1"},
		{"pledges:delete", string(patreontest.V1Pledge("pledges:delete")), "pledge", "1"},
		{"members:delete", `{"data":`, "", ""},
		{"members:delete", ``, "", ""},
		{"members:delete", `[1,2]`, "", ""},
		{"members:delete", "\x00\xff", "", ""},
	} {
		last = patreon.Event{}
		expect(t, h, 202, c.event+" "+c.body, delivery(c.event, c.body, hookSecret))
		if string(last.Trigger) != c.event || last.Type != c.kind || last.ID != c.id || !bytes.Equal(last.Body, []byte(c.body)) || last.Received.IsZero() {
			t.Errorf("%s %q is read as %s", c.event, c.body, last)
		}
	}
}

func TestAnEventThatFailsIsTakenTheNextTime(t *testing.T) {
	failing, told, changes := true, 0, make(chan patreon.Event, 9)
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.Quiet = time.Nanosecond
		cfg.OnChange = func(e patreon.Event) { changes <- e }
		cfg.OnEvent = func(context.Context, patreon.Event) error {
			if told++; failing {
				return errors.New("the queue is full")
			}
			return nil
		}
	})
	expect(t, h, 503, "first", delivery("members:update", "{}", hookSecret))
	failing = false
	expect(t, h, 202, "again", delivery("members:update", "{}", hookSecret))
	expect(t, h, 200, "a third time", delivery("members:update", "{}", hookSecret))
	<-changes
	if told != 2 {
		t.Errorf("OnEvent was told %d times", told)
	}
}

func TestAnEventIsNotLostInAPanic(t *testing.T) {
	panics := true
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.OnEvent = func(context.Context, patreon.Event) error {
			if panics {
				panic("made up")
			}
			return nil
		}
	})
	func() {
		defer func() { recover() }()
		answerOf(h, delivery("members:update", "{}", hookSecret))
	}()
	panics = false
	expect(t, h, 202, "again", delivery("members:update", "{}", hookSecret))
}

// The sender may have given up on the first copy, which may fail yet.
func TestACopyOfWhatIsBeingTakenHasToComeAgain(t *testing.T) {
	begun, end := make(chan struct{}), make(chan error)
	h := newHandler(t, func(cfg *patreon.WebhookConfig) {
		cfg.OnEvent = func(context.Context, patreon.Event) error {
			begun <- struct{}{}
			return <-end
		}
	})
	var first sync.WaitGroup
	first.Go(func() { expect(t, h, 503, "first", delivery("members:update", "{}", hookSecret)) })
	<-begun
	expect(t, h, 503, "meanwhile", delivery("members:update", "{}", hookSecret))
	end <- errors.New("made up")
	first.Wait()
	go func() { <-begun; end <- nil }()
	expect(t, h, 202, "afterwards", delivery("members:update", "{}", hookSecret))
}

func TestAThousandEventsMakeAtMostTwoChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes atomic.Int64
		h := newHandler(t, func(cfg *patreon.WebhookConfig) {
			cfg.OnChange = func(patreon.Event) { changes.Add(1) }
			cfg.Logger = nil
		})
		for i := range 1000 {
			expect(t, h, 202, "one", delivery("members:update", fmt.Sprint(i), hookSecret))
			if i%100 == 0 {
				pass(time.Second)
			}
		}
		pass(time.Minute)
		synctest.Wait()
		if n := changes.Load(); n < 1 || n > 2 {
			t.Errorf("%d changes", n)
		}
		before := changes.Load()
		expect(t, h, 202, "one later", delivery("members:update", "later", hookSecret))
		pass(10 * time.Second)
		synctest.Wait()
		if n := changes.Load() - before; n != 1 {
			t.Errorf("%d changes after one more event", n)
		}
	})
}

func TestAChangeIsToldOfThoughEventsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var told []time.Duration
		h := newHandler(t, func(cfg *patreon.WebhookConfig) {
			cfg.OnChange = func(patreon.Event) { told = append(told, time.Since(begun)) }
			cfg.Logger = nil
		})
		for i := range 60 {
			answerOf(h, delivery("members:update", fmt.Sprint(i), hookSecret))
			pass(time.Second)
		}
		pass(time.Hour)
		synctest.Wait()
		if len(told) == 0 || len(told) > 3 || told[0] > 30*time.Second {
			t.Errorf("told after %v", told)
		}
	})
}

func TestChangesAreToldOneAtATimeAndNoneIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, calls := 0, []string{}
		h := newHandler(t, func(cfg *patreon.WebhookConfig) {
			cfg.OnChange = func(e patreon.Event) {
				if running++; running > 1 {
					t.Error("two at a time")
				}
				calls = append(calls, e.ID)
				pass(time.Minute) // as a build takes
				running--
			}
		})
		send := func(id string) {
			expect(t, h, 202, id, delivery("members:update", `{"data":{"type":"member","id":"`+id+`"}}`, hookSecret))
		}
		send("a")
		send("b")
		pass(10 * time.Second) // b is told
		for i := range 20 {
			send(fmt.Sprint("c", i))
			pass(time.Second)
		}
		pass(time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"b", "c19"}, calls); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatIsRememberedHasALimit(t *testing.T) {
	h := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.Logger = nil })
	for i := range need.Times(20_000, 200_000) {
		answerOf(h, delivery("members:update", fmt.Sprint(i), hookSecret))
	}
	if n := h.Remembered(); n > 10_000 || n < 5000 {
		t.Errorf("%d deliveries are remembered", n)
	}
	expect(t, h, 200, "the last one", delivery("members:update", fmt.Sprint(need.Times(20_000, 200_000)-1), hookSecret))
}

// rawHook serves a handler, and returns a connection to it.
func rawHook(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestASlowDeliveryIsTakenAndACutOneIsNot(t *testing.T) {
	h := newHandler(t, nil)
	body := `{"data":{"type":"member","id":"m"}}`
	head := fmt.Sprintf("POST /hook HTTP/1.1\r\nHost: x\r\nX-Patreon-Event: members:update\r\nX-Patreon-Signature: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		patreon.SignWebhook(hookSecret, []byte(body)), len(body))
	cut := rawHook(t, h)
	io.WriteString(cut, head+body[:10])
	cut.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(cut)
	wait.Until(t, "the cut one is counted", func() bool { return h.Deliveries()[patreon.Delivery{Result: "refused"}] == 1 })
	if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 400")) {
		t.Errorf("the cut one is answered with %q", answer)
	}
	slow := rawHook(t, h)
	for _, b := range []byte(head + body) {
		slow.Write([]byte{b})
	}
	if answer, _ = io.ReadAll(slow); !bytes.HasPrefix(answer, []byte("HTTP/1.1 202")) {
		t.Errorf("the slow one is answered with %q", answer)
	}
	chunked := rawHook(t, h)
	body = `{"data":{"type":"member","id":"in chunks"}}`
	fmt.Fprintf(chunked, "POST /hook HTTP/1.1\r\nHost: x\r\nX-Patreon-Event: members:update\r\nX-Patreon-Signature: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
		patreon.SignWebhook(hookSecret, []byte(body)))
	for _, b := range []byte(body) {
		fmt.Fprintf(chunked, "1\r\n%c\r\n", b)
	}
	io.WriteString(chunked, "0\r\n\r\n")
	if answer, _ = io.ReadAll(chunked); !bytes.HasPrefix(answer, []byte("HTTP/1.1 202")) {
		t.Errorf("the one in chunks is answered with %q", answer)
	}
}

func TestEventsOfAnHourAreNotLostWhileTheReceiverIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		h := newHandler(t, func(cfg *patreon.WebhookConfig) {
			cfg.OnEvent = func(_ context.Context, e patreon.Event) error { ids = append(ids, e.ID); return nil }
		})
		down := true
		fake := patreontest.New(patreontest.Config{Client: &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			h.ServeHTTP(w, r)
		})}}})
		fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret"})
		creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
		campaign := fake.AddCampaign(patreontest.Campaign{Creator: creator})
		members := fake.FillMembers(campaign, 5)
		fake.AddWebhook(patreontest.Hook{
			Client: "client", Campaign: campaign, URI: "https://me.example/hook", Secret: hookSecret.Reveal(), Triggers: []string{"members:update"},
		})
		for _, id := range members {
			fake.Emit(t.Context(), "members:update", id) // the first fails, the others wait
		}
		pass(time.Hour)
		if err := fake.Deliver(t.Context()); err == nil {
			t.Error("the receiver is not down")
		}
		down = false
		pass(3 * time.Hour)
		if err := fake.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(members, ids); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLogsOfDeliveriesHaveNothingPersonal(t *testing.T) {
	var log wait.Buffer
	h := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	body := `{"data":{"type":"member","id":"m","attributes":{"email":"canary@example.com","full_name":"Canary Name"}}}`
	answerOf(h, delivery("members:update", body, hookSecret))
	answerOf(h, delivery("canary:\x1b[31m\nevent", body, hookSecret))
	answerOf(h, delivery("members:update", body, "canary-secret"))
	e := patreon.Event{Trigger: "members:update", Type: "member", ID: "m", Body: []byte(body)}
	text := log.String() + fmt.Sprintf("%v %+v %#v %s %q", e, e, e, e, []patreon.Event{e}) + fmt.Sprint(h)
	for _, leak := range []string{"canary@", "Canary Name", "canary-secret", hookSecret.Reveal(), "\x1b", "99, 97, 110, 97, 114, 121", "[99 97 110"} {
		if strings.Contains(text, leak) {
			t.Errorf("%q is in %s", leak, text)
		}
	}
}

// FuzzWebhook sends deliveries of any kind: one that is not signed is never
// taken, one that is always.
func FuzzWebhook(f *testing.F) {
	f.Add("members:update", []byte(`{"data":{"type":"member","id":null}}`), "x", true)
	f.Add("posts:publish", []byte(`{"data":[{}]}`), "", true)
	f.Add("pledges:create", []byte(`{"data":{"type":5,"id":{}}}`), "", false)
	f.Add("", []byte("\xff"), "\x00", false)
	f.Fuzz(func(t *testing.T, event string, body []byte, signature string, signed bool) {
		h := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.MaxBody, cfg.Logger = 1<<16, nil })
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header["X-Patreon-Event"] = []string{event}
		right := patreon.SignWebhook(hookSecret, body)
		if signed {
			signature = right
		}
		r.Header["X-Patreon-Signature"] = []string{signature}
		code, answer := answerOf(h, r)
		want := []int{200, 202}
		switch {
		case len(body) > 1<<16:
			want = []int{413, 413}
		case signature != right:
			want = []int{401, 401}
		}
		if code != want[0] && code != want[1] {
			t.Errorf("%q %q with %q: %d %s", event, body, signature, code, answer)
		}
		for kind := range maps.Keys(h.Deliveries()) {
			if kind.Trigger != "" && !kind.Trigger.Known() && !strings.HasPrefix(string(kind.Trigger), "pledges:") {
				t.Errorf("%q is counted", kind.Trigger)
			}
		}
	})
}

// A delivery of 17 KiB from the request to the answer.
func BenchmarkWebhook(b *testing.B) {
	h := newHandler(b, func(cfg *patreon.WebhookConfig) { cfg.Logger, cfg.Dedupe = nil, -1 })
	body := []byte(`{"data":{"type":"member","id":"m","attributes":{"note":"` + strings.Repeat("n", 17<<10) + `"}}}`)
	signature := patreon.SignWebhook(hookSecret, body)
	b.SetBytes(int64(len(body)))
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			patreon.VerifyWebhook(body, signature, hookSecret)
		}
	})
	b.Run("handle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/hook", bytes.NewReader(body))
			r.Header.Set("X-Patreon-Event", "members:update")
			r.Header.Set("X-Patreon-Signature", signature)
			if code, answer := answerOf(h, r); code != 202 {
				b.Fatal(code, answer)
			}
		}
	})
}
