// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/deliver"
	"xeiaso.net/site/internal/test/pipe"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/syndicate/mastodontest"
)

// timeout is how long one attempt may take, as in package syndicate.
const timeout = time.Minute

// scopes are those that the documentation asks for.
var scopes = []string{"read:accounts", "read:statuses", "write:statuses", "write:media"}

// message returns the n-th of the messages that tests announce.
func message(n int) syndicate.Message {
	link := fmt.Sprintf("https://blog.example/%d", n)
	return syndicate.Message{
		Post: syndicate.Post{ID: link, URL: link},
		Text: fmt.Sprintf("Post number %d\n\n%s\n\n#blog", n, link), Link: link, Language: "en",
	}
}

// bubble runs a test with a server and a target for its account, and time that
// passes at once.
func bubble(t *testing.T, c mastodontest.Config, test func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if c.RateLimit == 0 {
			c.RateLimit = 1 << 20
		}
		c.URL = "https://social.example"
		fake := mastodontest.New(c)
		test(t, fake, open(t, fake, pipe.Serve(t, fake), mastodon.Config{}))
	})
}

// open returns a target that reaches the server through the client.
func open(t *testing.T, fake *mastodontest.Server, client *http.Client, c mastodon.Config) *mastodon.Target {
	t.Helper()
	c.Server, c.Token, c.Client = "social.example", syndicate.Secret(fake.Token("blog", "site", scopes...)), client
	target, err := mastodon.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// only returns the one status that the server took.
func only(t *testing.T, fake *mastodontest.Server) mastodontest.Status {
	t.Helper()
	all := fake.Statuses()
	if len(all) != 1 {
		t.Fatalf("the server has %d statuses, want 1: %+v", len(all), all)
	}
	return all[0]
}

func TestSendsWhatWasComposed(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		m := message(1)
		m.Language, m.ContentWarning, m.Visibility = "de-AT", "food", "unlisted"
		a := deliver.Attempt(t, target, m)
		receipt, err := deliver.Run(t, target, a, timeout)
		if err != nil {
			t.Fatal(err)
		}
		got := only(t, fake)
		want := mastodontest.Status{
			ID: receipt.ID, Account: "blog", Application: "site", Text: m.Text, SpoilerText: "food",
			Visibility: "unlisted", Language: "de", Sensitive: true, Key: a.Key,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the status is not as it should be (-want +got):\n%s", diff)
		}
		if want := "https://social.example/@blog/" + got.ID; receipt.URL != want {
			t.Errorf("address %q, want %q", receipt.URL, want)
		}
	})
}

// faults are all ways to fail, with a delay that an attempt outlasts or not.
func faults() []mastodontest.Fault {
	return []mastodontest.Fault{
		{Kind: mastodontest.CutBefore},
		{Kind: mastodontest.CutAfter},
		{Kind: mastodontest.CutAnswer},
		{Kind: mastodontest.ErrorAfter},
		{Kind: mastodontest.TimeoutAfter, Delay: time.Second},
		{Kind: mastodontest.TimeoutAfter, Delay: 4 * time.Minute},
		{Kind: mastodontest.Slow, Delay: 30 * time.Second},
		{Kind: mastodontest.Slow, Delay: 90 * time.Second},
		{Kind: mastodontest.RateLimited, Delay: time.Minute},
		{Kind: mastodontest.RateLimitedDate, Delay: time.Minute},
		{Kind: mastodontest.Unavailable},
	}
}

func everyKeys() map[string]mastodontest.Keys {
	return map[string]mastodontest.Keys{"honoured": mastodontest.KeysHonoured, "ignored": mastodontest.KeysIgnored, "broken": mastodontest.KeysBroken}
}

func TestEveryFaultLeavesExactlyOneStatus(t *testing.T) {
	for name, keys := range everyKeys() {
		for _, f := range faults() {
			for times := 1; times <= 3; times++ {
				t.Run(fmt.Sprintf("keys %s, %d times %s of %s", name, times, f.Kind, f.Delay), func(t *testing.T) {
					bubble(t, mastodontest.Config{Keys: keys}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
						fake.Next(times, f)
						receipt, err := deliver.Run(t, target, deliver.Attempt(t, target, message(1)), timeout)
						if err != nil {
							t.Fatal(err)
						}
						if got := only(t, fake); got.ID != receipt.ID {
							t.Errorf("receipt for %s, the status is %s", receipt.ID, got.ID)
						}
					})
				})
			}
		}
	}
}

// Every request of any kind may fail, and several posts are under way.
func TestRandomFaultsLoseAndDoubleNothing(t *testing.T) {
	for name, keys := range everyKeys() {
		t.Run(name, func(t *testing.T) {
			bubble(t, mastodontest.Config{Keys: keys}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
				const posts = 60
				all := faults()
				for _, f := range faults() {
					f.On = func(*http.Request) bool { return true }
					all = append(all, f)
				}
				fake.Random(42, 0.6, all...)
				for n := range posts {
					if _, err := deliver.Run(t, target, deliver.Attempt(t, target, message(n)), timeout); err != nil {
						t.Fatal(err)
					}
				}
				count := map[string]int{}
				for _, s := range fake.Statuses() {
					count[s.Text]++
				}
				for n := range posts {
					if c := count[message(n).Text]; c != 1 {
						t.Errorf("post %d is there %d times", n, c)
					}
				}
				t.Logf("%d posts, %d statuses, faults met: %v", posts, len(fake.Statuses()), fake.Met())
			})
		})
	}
}

// What makes the tests above worth something: a client that sends again what
// failed does not get through them, even with a key.
func TestNaiveClientDoublesPosts(t *testing.T) {
	for name, keys := range everyKeys() {
		doubled, failed := 0, 0
		for _, f := range faults() {
			bubble(t, mastodontest.Config{Keys: keys}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
				fake.Next(1, f)
				a := deliver.Attempt(t, target, message(1))
				for i := 0; ; i++ {
					if _, err := target.Send(t.Context(), a); err == nil {
						break
					}
					if i == 10 {
						failed++
						break
					}
					<-time.After(time.Second)
				}
				if len(fake.Statuses()) > 1 {
					doubled++
				}
			})
		}
		t.Logf("keys %s: of %d faults %d double the post, %d never end", name, len(faults()), doubled, failed)
		if doubled+failed == 0 {
			t.Errorf("keys %s: the naive client comes to no harm", name)
		}
	}
}

// The status comes into being while everybody thinks that it does not.
func TestReconcileWaitsUntilTheServerCannotBeAtItAnyMore(t *testing.T) {
	bubble(t, mastodontest.Config{Keys: mastodontest.KeysIgnored}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		a := deliver.Attempt(t, target, message(1))
		fake.Next(1, mastodontest.Fault{Kind: mastodontest.TimeoutAfter, Delay: 299 * time.Second})
		if _, err := target.Send(t.Context(), a); err == nil {
			t.Fatal("no error")
		}
		a.Last = time.Now()
		_, err := target.Reconcile(t.Context(), a)
		e, ok := errors.AsType[*syndicate.Error](err)
		if !ok || e.RetryAfter != 5*time.Minute || e.Refused || e.NotSent {
			t.Fatalf("error %v, want that it is looked again after five minutes", err)
		}
		<-time.After(e.RetryAfter)
		receipt, err := target.Reconcile(t.Context(), a)
		if err != nil || receipt.ID != only(t, fake).ID {
			t.Errorf("receipt %v, error %v", receipt, err)
		}
	})
}

func TestReconcileFindsThePostAmongOthers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*syndicate.Message)
	}{
		{"as it was", func(*syndicate.Message) {}},
		{"with parameters", func(m *syndicate.Message) {
			m.Link += "?utm_source=mastodon&a=b%20c"
			m.Post.URL += "?a=b%20c"
			m.Text = "A & B <c> \"d\" 'e': " + m.Link
		}},
		{"without a link", func(m *syndicate.Message) {
			m.Link, m.Post.URL, m.Text = "", "", "Just @me@elsewhere.example & a #note: 🦊!"
		}},
		{"without letters", func(m *syndicate.Message) { m.Link, m.Post.URL, m.Text = "", "", "🦊" }},
		{"with a warning", func(m *syndicate.Message) { m.ContentWarning = "careful" }},
		{"to nobody", func(m *syndicate.Message) { m.Visibility = "direct" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
				m := message(7)
				tt.change(&m)
				a := deliver.Attempt(t, target, m)
				fake.Next(1, mastodontest.Fault{Kind: mastodontest.CutAfter})
				if _, err := target.Send(t.Context(), a); err == nil {
					t.Fatal("no error")
				}
				for n := range 100 {
					if _, err := target.Send(t.Context(), deliver.Attempt(t, target, message(100+n))); err != nil {
						t.Fatal(err)
					}
				}
				a.Last = time.Now()
				receipt, err := target.Reconcile(t.Context(), a)
				if err != nil || receipt.ID != fake.Statuses()[0].ID {
					t.Errorf("receipt %v, error %v", receipt, err)
				}
			})
		})
	}
}

// An older status with the same link, say of the same post under another target,
// is not the announcement.
func TestReconcileDoesNotTakeOlderStatuses(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		m := message(1)
		if _, err := target.Send(t.Context(), deliver.Attempt(t, target, m)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		a := deliver.Attempt(t, target, m)
		a.Last = a.Created
		<-time.After(time.Hour)
		if _, err := target.Reconcile(t.Context(), a); !errors.Is(err, syndicate.ErrAbsent) {
			t.Errorf("error %v, want ErrAbsent", err)
		}
		// Unless our clock was set back: then nobody knows what is older.
		a.Created = time.Now().Add(24 * time.Hour)
		if _, err := target.Reconcile(t.Context(), a); err != nil {
			t.Errorf("error %v after the clock was set back", err)
		}
	})
}

// What cannot be looked at may be there.
func TestReconcileDoesNotSayAbsentOfWhatItHasNotSeen(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, _ *mastodontest.Server, target *mastodon.Target) {
		a := deliver.Attempt(t, target, message(0))
		for n := range 1001 {
			if _, err := target.Send(t.Context(), syndicate.Attempt{Key: fmt.Sprint(n), Body: []byte(`{"text":"something else"}`)}); err != nil {
				t.Fatal(err)
			}
		}
		a.Last = a.Created
		<-time.After(time.Hour)
		_, err := target.Reconcile(t.Context(), a)
		if e, ok := errors.AsType[*syndicate.Error](err); err == nil || errors.Is(err, syndicate.ErrAbsent) || ok && e.NotSent {
			t.Errorf("error %v, want that nobody knows", err)
		}
	})
}

// Readers who were warned of a picture stay warned.
func TestEditKeepsWhatIsSensitive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := mastodontest.New(mastodontest.Config{})
		_, client, m := pictures(t)
		target := open(t, fake, pipe.Serve(t, fake), mastodon.Config{Pictures: true, PictureClient: client})
		m.ContentWarning = "a picture"
		receipt, err := target.Send(t.Context(), deliver.Attempt(t, target, m))
		if err != nil {
			t.Fatal(err)
		}
		for _, warning := range []string{"another warning", ""} {
			m.ContentWarning = warning
			if _, err := target.Edit(t.Context(), deliver.Attempt(t, target, m), receipt); err != nil {
				t.Fatal(err)
			}
			if got := only(t, fake); got.Sensitive != (warning != "") || got.SpoilerText != warning || len(got.Media) != 1 {
				t.Errorf("with warning %q: %+v", warning, got)
			}
		}
	})
}

func TestTextIsFittedToTheServersLimits(t *testing.T) {
	for _, c := range []mastodontest.Config{{}, {MaxCharacters: 5000}, {MaxCharacters: 60, CharactersPerURL: 10}, {OldInstance: true, MaxCharacters: 80}} {
		bubble(t, c, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
			m := message(1)
			m.ContentWarning = "mind the length"
			m.Text = strings.Repeat("wörd 👨‍👩‍👧‍👦 @me@elsewhere.example ", 500) + m.Link + " #blog"
			if _, err := target.Send(t.Context(), deliver.Attempt(t, target, m)); err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			got := only(t, fake)
			if !strings.HasSuffix(got.Text, m.Link+" #blog") || !strings.HasPrefix(got.Text, "wörd") {
				t.Errorf("%+v: the text has lost something: %q", c, got.Text)
			}
			limit := max(c.MaxCharacters, 60)
			if n := syndicate.CountReserved(got.SpoilerText+got.Text, 23); n < limit/2 {
				t.Errorf("%+v: the text has only %d characters", c, n)
			}
		})
	}
}

func TestLimitsAreAskedForOnceAnHour(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		asked := 0
		fake.Next(0, mastodontest.Fault{})
		fake.Random(1, 1, mastodontest.Fault{Kind: mastodontest.Slow, On: func(r *http.Request) bool {
			if r.URL.Path == "/api/v2/instance" {
				asked++
			}
			return false
		}})
		for range 3 {
			deliver.Attempt(t, target, message(1))
			<-time.After(40 * time.Minute)
		}
		if asked != 2 {
			t.Errorf("asked %d times in 80 minutes, want twice", asked)
		}
	})
}

// What cannot be composed now is not refused for ever.
func TestServerThatIsDownHasSentNothing(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		anything := func(*http.Request) bool { return true }
		for _, f := range faults()[:4] {
			f.On = anything
			fake.Next(1, f)
			_, err := target.Compose(t.Context(), message(1))
			if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.Refused {
				t.Errorf("%s: %v, want NotSent", f.Kind, err)
			}
		}
		fake.Next(1, mastodontest.Fault{Kind: mastodontest.ErrorAfter, On: anything})
		a := syndicate.Attempt{Key: "k", Body: []byte(`{"text":"hello"}`)}
		_, err := target.Send(t.Context(), a)
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.Refused || len(fake.Statuses()) > 0 {
			t.Errorf("send: %v, want NotSent", err)
		}
	})
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	bubble(t, mastodontest.Config{RateLimit: 3}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		a := deliver.Attempt(t, target, message(1))
		for range 2 { // asks for the account and its list, posts, and posts again
			if _, err := target.Send(t.Context(), a); err != nil {
				e, ok := errors.AsType[*syndicate.Error](err)
				if !ok || !e.NotSent || e.RetryAfter <= 0 || e.RetryAfter > 5*time.Minute {
					t.Fatalf("error %#v, want NotSent and a time of five minutes at most", err)
				}
				return
			}
		}
		t.Error("nothing was limited")
	})
}

func TestRefusals(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		for _, tt := range []struct {
			name       string
			body       string
			everything bool
			says       string
		}{
			{"too long", `{"text":"` + strings.Repeat("x", 501) + `"}`, false, "Text character limit of 500 exceeded"},
			{"unknown visibility", `{"text":"x","visibility":"friends"}`, false, "Record invalid"},
			{"foreign body", `"hello"`, false, "was not made by this package"},
		} {
			_, err := target.Send(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(tt.body)})
			e, ok := errors.AsType[*syndicate.Error](err)
			if !ok || !e.NotSent || !e.Refused || e.Everything != tt.everything || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("%s: %v, want it refused with %q", tt.name, err, tt.says)
			}
		}
	})
}

// The token is found wanting before anything is posted, and without it nobody
// could find out afterwards.
func TestTokenThatMayNotReadPostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := mastodontest.New(mastodontest.Config{})
		client := pipe.Serve(t, fake)
		for _, scopes := range [][]string{{"write"}, {"write", "read:accounts"}, {"read"}, nil} {
			secret := fake.Token("blog", "site", scopes...)
			if scopes == nil {
				secret = "worthless-but-secret"
			}
			target, err := mastodon.New(mastodon.Config{Server: "social.example", Token: syndicate.Secret(secret), Client: client})
			if err != nil {
				t.Fatal(err)
			}
			_, err = target.Send(t.Context(), deliver.Attempt(t, target, message(1)))
			e, ok := errors.AsType[*syndicate.Error](err)
			if !ok || !e.NotSent || !e.Refused || !e.Everything || !strings.Contains(e.Error(), "read:statuses") {
				t.Errorf("scopes %q: %v, want that nothing goes without another token", scopes, err)
			}
			if strings.Contains(fmt.Sprintf("%+v %#v %v", err, err, target), secret) {
				t.Error("the token is in the error or the target")
			}
		}
		if n := len(fake.Statuses()); n != 0 {
			t.Errorf("%d statuses were posted", n)
		}
	})
}

func TestEditChangesTheStatusAndDeleteRemovesIt(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		m := message(1)
		receipt, err := target.Send(t.Context(), deliver.Attempt(t, target, m))
		if err != nil {
			t.Fatal(err)
		}
		m.Text, m.Language, m.ContentWarning = "Another title "+m.Link, "", "now with a warning"
		for _, f := range faults() { // an edit may be made again after any error
			f.On = func(r *http.Request) bool { return r.Method == http.MethodPut }
			fake.Next(1, f)
			edited, err := target.Edit(t.Context(), deliver.Attempt(t, target, m), receipt)
			if err == nil && edited != receipt {
				t.Errorf("receipt %v after the edit, was %v", edited, receipt)
			}
		}
		if edited, err := target.Edit(t.Context(), deliver.Attempt(t, target, m), receipt); err != nil || edited != receipt {
			t.Errorf("receipt %v, error %v", edited, err)
		}
		got := only(t, fake)
		if got.Text != m.Text || got.SpoilerText != m.ContentWarning || got.Language != "en" || got.Edits != 1 {
			t.Errorf("the status is %+v", got)
		}
		for range 2 {
			if err := target.Delete(t.Context(), receipt); err != nil {
				t.Error(err)
			}
		}
		if !only(t, fake).Deleted {
			t.Error("the status is still there")
		}
		_, err = target.Edit(t.Context(), deliver.Attempt(t, target, m), receipt)
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.Refused || e.Everything {
			t.Errorf("edit of what is deleted: %v, want it refused", err)
		}
	})
}

func TestRecoverFindsWhatWasAnnounced(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, target *mastodon.Target) {
		const posts = 150
		want := map[string]syndicate.Receipt{}
		var all []syndicate.Post
		for n := range posts {
			m := message(n)
			m.Post.Published = time.Now()
			all = append(all, m.Post)
			if n%3 == 0 {
				continue // is not announced
			}
			receipt, err := target.Send(t.Context(), deliver.Attempt(t, target, m))
			if err != nil {
				t.Fatal(err)
			}
			want[m.Post.ID] = receipt
			<-time.After(time.Hour)
		}
		again := message(1) // somebody posts it once more
		again.Text = "Remember this? " + again.Link
		if _, err := target.Send(t.Context(), syndicate.Attempt{Key: "other", Body: []byte(`{"text":"` + again.Text + `"}`)}); err != nil {
			t.Fatal(err)
		}
		got, err := target.Recover(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("found other than what was announced (-want +got):\n%s", diff)
		}
		fake.Next(1, mastodontest.Fault{Kind: mastodontest.Unavailable, On: func(r *http.Request) bool { return r.URL.Query().Get("max_id") != "" }})
		if got, err = target.Recover(t.Context(), all); err == nil || len(got) == 0 || len(got) == len(want) {
			t.Errorf("found %d of %d, error %v; want some and an error", len(got), len(want), err)
		}
	})
}

// pictures serves a picture, and returns a message that has it.
func pictures(t *testing.T) (content *[]byte, client *http.Client, m syndicate.Message) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3))); err != nil {
		t.Fatal(err)
	}
	content = new([]byte)
	*content = b.Bytes()
	client = pipe.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(*content) }))
	m = message(1)
	m.Post.Image = syndicate.Image{URL: "https://blog.example/1.png", Alt: "A grey square"}
	return content, client, m
}

func TestPictureIsAttachedWhenItIsProcessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := mastodontest.New(mastodontest.Config{MediaDelay: 20 * time.Second})
		content, client, m := pictures(t)
		target := open(t, fake, pipe.Serve(t, fake), mastodon.Config{Pictures: true, PictureClient: client})
		receipt, err := deliver.Run(t, target, deliver.Attempt(t, target, m), timeout)
		if err != nil {
			t.Fatal(err)
		}
		want := []mastodontest.Media{{Description: "A grey square", Content: *content}}
		if diff := cmp.Diff(want, only(t, fake).Media); diff != "" {
			t.Errorf("media (-want +got):\n%s", diff)
		}
		m.Text, m.Post.Image.Alt = "Changed "+m.Link, "A small grey square"
		if _, err := target.Edit(t.Context(), deliver.Attempt(t, target, m), receipt); err != nil {
			t.Fatal(err)
		}
		want[0].Description = "A small grey square"
		if diff := cmp.Diff(want, only(t, fake).Media); diff != "" {
			t.Errorf("media after an edit (-want +got):\n%s", diff)
		}
	})
}

func TestPictureThatWillNotDoIsLeftOut(t *testing.T) {
	for name, spoil := range map[string]func(content *[]byte){
		"changed":      func(content *[]byte) { *content = append(*content, 0) },
		"no picture":   func(content *[]byte) { *content = []byte("<html>") },
		"nothing":      func(content *[]byte) { *content = nil },
		"as it should": func(*[]byte) {},
	} {
		for _, early := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				fake := mastodontest.New(mastodontest.Config{})
				content, client, m := pictures(t)
				target := open(t, fake, pipe.Serve(t, fake), mastodon.Config{Pictures: true, PictureClient: client})
				if early {
					spoil(content)
				}
				a := deliver.Attempt(t, target, m)
				spoil(content)
				if _, err := target.Send(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				want := 0
				if name == "as it should" {
					want = 1
				}
				if got := len(only(t, fake).Media); got != want {
					t.Errorf("%s: %d media, want %d", name, got, want)
				}
			})
		}
	}
}

// Until media are processed there is nothing to announce, and it is not said
// that there could be.
func TestPictureThatIsNeverProcessedAnnouncesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := mastodontest.New(mastodontest.Config{MediaDelay: time.Hour})
		_, client, m := pictures(t)
		target := open(t, fake, pipe.Serve(t, fake), mastodon.Config{Pictures: true, PictureClient: client})
		_, err := target.Send(t.Context(), deliver.Attempt(t, target, m))
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.Refused || len(fake.Statuses()) > 0 {
			t.Errorf("error %v, want NotSent", err)
		}
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		change func(*mastodon.Config)
		says   string
	}{
		{func(c *mastodon.Config) {}, ""},
		{func(c *mastodon.Config) { c.Server = "social.example" }, ""},
		{func(c *mastodon.Config) { c.Server = "https://social.example/" }, ""},
		{func(c *mastodon.Config) { c.Server = "http://127.0.0.1:3000" }, ""},
		{func(c *mastodon.Config) { c.Server = "" }, "no Server"},
		{func(c *mastodon.Config) { c.Server = "http://social.example" }, "use https"},
		{func(c *mastodon.Config) { c.Server = "https://social.example/@blog" }, "want https://social.example"},
		{func(c *mastodon.Config) { c.Server = "https://user:pass@social.example" }, "want https://social.example"},
		{func(c *mastodon.Config) { c.Server = "ftp://social.example" }, "want something like"},
		{func(c *mastodon.Config) { c.Server = "https://\x7f" }, "want something like"},
		{func(c *mastodon.Config) { c.Token = "" }, "no Token"},
		{func(c *mastodon.Config) { c.Token = "se cret\n" }, "the Token has blanks"},
		{func(c *mastodon.Config) { c.Visibility = "friends" }, "Visibility"},
		{func(c *mastodon.Config) { c.Settle = -1 }, "Settle"},
	} {
		c := mastodon.Config{Server: "https://social.example", Token: "secret"}
		tt.change(&c)
		_, err := mastodon.New(c)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%+v: error %v, want %q", c, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("the error has the token: %v", err)
		}
	}
}

func TestLanguageIsOneThatMastodonKnows(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, _ *mastodontest.Server, target *mastodon.Target) {
		for tag, want := range map[string]string{
			"": "", "en": "en", "EN": "en", "pt-BR": "pt", "de_AT": "de", "zh-Hant-TW": "zh-TW", "zh-cn": "zh-CN", "zh-Hans": "zh", "gsw-CH": "gsw",
			"x-klingon": "", "i-default": "", "english": "",
		} {
			m := message(1)
			m.Language = tag
			raw, err := target.Compose(t.Context(), m)
			var got struct{ Language string }
			if err := errors.Join(err, json.Unmarshal(raw, &got)); err != nil {
				t.Fatal(err)
			}
			if got.Language != want {
				t.Errorf("%q becomes %q, want %q", tag, got.Language, want)
			}
		}
	})
}

// A server may answer anything.
func TestStrangeAnswersAreUnknown(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing": "", "no JSON": "<html>", "no id": "{}", "a list": "[]", "null": "null", "an empty id": `{"id":""}`, "half": `{"id":"1"`,
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/api/v1/accounts/verify_credentials", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"id":"1"}`)) })
		mux.HandleFunc("/api/v1/accounts/1/statuses", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`[null,{},7]`)) })
		mux.HandleFunc("/api/v1/statuses", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(answer)) })
		server := httptest.NewTLSServer(mux)
		target, err := mastodon.New(mastodon.Config{Server: server.URL, Token: "secret", Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Send(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(`{"text":"hello"}`)})
		if e, ok := errors.AsType[*syndicate.Error](err); err == nil || ok && e.NotSent {
			t.Errorf("%s: %v, want an error that promises nothing", name, err)
		}
		_, err = target.Reconcile(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(`{"text":"hello"}`), Last: time.Now().Add(-time.Hour)})
		if e, ok := errors.AsType[*syndicate.Error](err); err == nil || errors.Is(err, syndicate.ErrAbsent) || ok && e.Refused {
			t.Errorf("%s: reconcile: %v, want it later: among the statuses is what nobody can read", name, err)
		}
		server.Close()
	}
}

// What a server does not show may be there.
func TestListsThatShowNotAllProveNothing(t *testing.T) {
	other := func(id int) string {
		return fmt.Sprintf(`{"id":"%d","created_at":%q,"content":"other"}`, id, time.Now().UTC().Format(time.RFC3339))
	}
	var page []string
	for n := range 40 {
		page = append(page, other(100-n))
	}
	full := "[" + strings.Join(page, ",") + "]"
	for name, tt := range map[string]struct {
		list   func(after string) string
		absent bool
	}{
		"pages that do not end":   {func(string) string { return full }, false},
		"a status without a time": {func(string) string { return `[{"id":"1","content":"x"}]` }, false},
		"a time without a zone":   {func(string) string { return `[{"id":"1","created_at":"2026-05-06T10:00:00"}]` }, false},
		"the last one once more": {func(after string) string {
			return map[bool]string{true: full, false: "[" + other(61) + "]"}[after == ""]
		}, true},
		"all of them, on one page": {func(after string) string { return map[bool]string{true: full, false: "[]"}[after == ""] }, true},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/api/v1/accounts/verify_credentials", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"id":"1"}`)) })
		mux.HandleFunc("/api/v1/accounts/1/statuses", func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(tt.list(r.URL.Query().Get("max_id"))))
		})
		server := httptest.NewTLSServer(mux)
		target, err := mastodon.New(mastodon.Config{Server: server.URL, Token: "secret", Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		hour := time.Now().Add(-time.Hour)
		_, err = target.Reconcile(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(`{"text":"hello"}`), Created: hour, Last: hour})
		if err == nil || errors.Is(err, syndicate.ErrAbsent) != tt.absent {
			t.Errorf("%s: %v, want absent: %t", name, err, tt.absent)
		}
		server.Close()
	}
}

// Who answers somebody with a link to the post does not announce it, and would
// not want the answer edited or deleted.
func TestAnswersAreNoAnnouncements(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, _ *mastodon.Target) {
		m := message(1)
		client := pipe.Serve(t, between(fake, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/statuses") {
				return false
			}
			fmt.Fprintf(w, `[{"id":"7","created_at":%q,"in_reply_to_id":"3","content":"<a href='%s'>x</a>"}]`, time.Now().UTC().Format(time.RFC3339), m.Link)
			return true
		}))
		target := open(t, fake, client, mastodon.Config{})
		a := deliver.Attempt(t, target, m)
		a.Last = a.Created
		<-time.After(time.Hour)
		if r, err := target.Reconcile(t.Context(), a); !errors.Is(err, syndicate.ErrAbsent) {
			t.Errorf("receipt %v, error %v, want ErrAbsent", r, err)
		}
		if found, err := target.Recover(t.Context(), []syndicate.Post{m.Post}); err != nil || len(found) != 0 {
			t.Errorf("found %v, error %v, want nothing", found, err)
		}
	})
}

// That there is nothing at the address of no status does not say that one was
// deleted.
func TestReceiptsWithoutAnIDTouchNothing(t *testing.T) {
	bubble(t, mastodontest.Config{}, func(t *testing.T, _ *mastodontest.Server, target *mastodon.Target) {
		a := deliver.Attempt(t, target, message(1))
		for _, id := range []string{"", ".", "..", "../accounts", "1?x=y"} {
			receipt := syndicate.Receipt{ID: id, URL: "https://social.example/@blog/1"}
			_, err := target.Edit(t.Context(), a, receipt)
			for what, err := range map[string]error{"edit": err, "delete": target.Delete(t.Context(), receipt)} {
				if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.Refused || e.Everything || !strings.Contains(e.Error(), "not known") {
					t.Errorf("%s of %q: %v, want it refused", what, id, err)
				}
			}
		}
	})
}

// A proxy may repeat what was asked for.
func TestEchoesTellNoSecret(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "no route for %q", r.Header["Authorization"])
	}))
	defer server.Close()
	target, err := mastodon.New(mastodon.Config{Server: server.URL, Token: "canary", Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = target.Send(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(`{"text":"hello"}`)})
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "no route") {
		t.Errorf("error %v, want what the proxy says without the token", err)
	}
}

// between lets a function answer requests in place of the server.
func between(h http.Handler, answer func(w http.ResponseWriter, r *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			h.ServeHTTP(w, r)
		}
	})
}

func TestServerThatRefusesThePictureGetsTheTextAlone(t *testing.T) {
	for status, want := range map[int]struct{ posted, media int }{
		200: {1, 1},
		404: {1, 1}, // an older server: there is the first version of uploads
		413: {1, 0},
		422: {1, 0},
		429: {0, 0},
		500: {0, 0},
		401: {0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := mastodontest.New(mastodontest.Config{})
			_, pictureClient, m := pictures(t)
			client := pipe.Serve(t, between(fake, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/api/v2/media" || status == 200 {
					return false
				}
				w.WriteHeader(status)
				return true
			}))
			target := open(t, fake, client, mastodon.Config{Pictures: true, PictureClient: pictureClient})
			_, err := target.Send(t.Context(), deliver.Attempt(t, target, m))
			if e, ok := errors.AsType[*syndicate.Error](err); err != nil && (!ok || !e.NotSent) {
				t.Errorf("status %d: %v, want NotSent: nothing was announced", status, err)
			}
			all := fake.Statuses()
			if len(all) != want.posted || want.posted > 0 && len(all[0].Media) != want.media {
				t.Errorf("status %d: %+v, want %+v", status, all, want)
			}
		})
	}
}

// Mastodon says it with a date, GoToSocial with seconds since 1970, and neither
// has a Retry-After.
func TestRateLimitIsReadInBothForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := ""
		client := pipe.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Reset", reset)
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		target := open(t, mastodontest.New(mastodontest.Config{}), client, mastodon.Config{})
		soon := time.Now().Add(90 * time.Second)
		for form, want := range map[string]time.Duration{
			soon.UTC().Format("2006-01-02T15:04:05.000000Z"): 90 * time.Second,
			fmt.Sprint(soon.Unix()):                          90 * time.Second,
			fmt.Sprint(soon.AddDate(1, 0, 0).Unix()):         time.Hour,
			fmt.Sprint(soon.AddDate(-1, 0, 0).Unix()):        0,
			"soon": 0,
			"":     0,
		} {
			reset = form
			_, err := target.Compose(t.Context(), message(1))
			if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.RetryAfter != want {
				t.Errorf("%q: %#v, want to be told to come back after %s", form, err, want)
			}
		}
	})
}
