// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/deliver"
	"xeiaso.net/site/internal/test/openapi"
	"xeiaso.net/site/internal/test/pipe"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/discordtest"
)

// timeout is how long one attempt may take, as in package syndicate.
const timeout = time.Minute

// message returns the n-th of the messages that tests announce.
func message(n int) syndicate.Message {
	link := fmt.Sprintf("https://blog.example/%d", n)
	return syndicate.Message{
		Post: syndicate.Post{ID: link, URL: link, Title: fmt.Sprintf("Post *number* %d", n)},
		Text: fmt.Sprintf("Post *number* %d\n%s", n, link), Link: link,
	}
}

// kinds are the two ways to post.
var kinds = []string{"webhook", "bot"}

// rig is a server and a target for it.
type rig struct {
	fake    *discordtest.Server
	client  *http.Client
	config  discord.Config
	target  syndicate.Target
	webhook string
	token   string
}

// bubble runs a test with a server and a target, and time that passes at once.
// All that they say to each other is held against Discord's document, where it
// is there.
func bubble(t *testing.T, kind string, c discordtest.Config, change func(*discord.Config), test func(t *testing.T, r *rig)) {
	t.Helper()
	spec, missing := document(t)
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2015
		r := &rig{fake: discordtest.New(c)}
		var h http.Handler = r.fake
		if !missing {
			h = spec.Wrap(t, "/api/v10", h)
		}
		r.client = pipe.Serve(t, h)
		r.config = discord.Config{Client: r.client}
		if kind == "bot" {
			r.token = r.fake.Bot()
			r.config.Bot, r.config.Channel = syndicate.Secret(r.token), r.fake.Channel()
		} else {
			r.webhook = r.fake.Webhook()
			r.config.Webhook = syndicate.Secret(r.webhook)
		}
		if change != nil {
			change(&r.config)
		}
		var err error
		if r.target, err = discord.New(r.config); err != nil {
			t.Fatal(err)
		}
		test(t, r)
	})
}

// document returns Discord's OpenAPI document, or true if it is not there.
func document(t *testing.T) (spec *openapi.Document, missing bool) {
	t.Helper()
	spec, ok := loaded(t)
	if ok {
		// It says that the codes of errors in forms are numbers. They are words,
		// also in the rest of the documentation.
		spec.Forgive = []string{"$.errors"}
	}
	return spec, !ok
}

// loaded reads the document in a test of its own, which may be skipped.
func loaded(t *testing.T) (spec *openapi.Document, ok bool) {
	t.Helper()
	t.Run("document", func(t *testing.T) {
		spec = openapi.Load(t, "discord-openapi.json")
	})
	return spec, spec != nil
}

// only returns the one message that the server took.
func (r *rig) only(t *testing.T) discordtest.Message {
	t.Helper()
	all := r.fake.Messages()
	if len(all) != 1 {
		t.Fatalf("the server has %d messages, want 1: %+v", len(all), all)
	}
	return all[0]
}

// occupy puts a message into the channel, since an empty one proves nothing.
func (r *rig) occupy(t *testing.T) {
	t.Helper()
	if _, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, message(0))); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Hour)
}

func TestSendsWhatWasComposed(t *testing.T) {
	for _, kind := range kinds {
		bubble(t, kind, discordtest.Config{}, nil, func(t *testing.T, r *rig) {
			a := deliver.Attempt(t, r.target, message(1))
			receipt, err := deliver.Run(t, r.target, a, timeout)
			if err != nil {
				t.Fatal(err)
			}
			got := r.only(t)
			if want := `Post \*number\* 1` + "\nhttps://blog.example/1"; got.Content != want || string(got.Embeds) != "null" {
				t.Errorf("%s: content %q with embeds %s, want %q", kind, got.Content, got.Embeds, want)
			}
			if prefix, suffix := "https://discord.com/channels/", "/"+got.Channel+"/"+got.ID; !strings.HasPrefix(receipt.URL, prefix) || !strings.HasSuffix(receipt.URL, suffix) || receipt.ID != got.ID {
				t.Errorf("%s: receipt %v for message %s in channel %s", kind, receipt, got.ID, got.Channel)
			}
			if want := map[string]string{"bot": a.Key[:25], "webhook": ""}[kind]; got.Nonce != want {
				t.Errorf("%s: nonce %q, want %q", kind, got.Nonce, want)
			}
		})
	}
}

// faults are all ways to fail, with a delay that an attempt outlasts or not.
func faults() []discordtest.Fault {
	return []discordtest.Fault{
		{Kind: discordtest.CutBefore},
		{Kind: discordtest.CutAfter},
		{Kind: discordtest.CutAnswer},
		{Kind: discordtest.ErrorAfter},
		{Kind: discordtest.TimeoutAfter, Delay: time.Second},
		{Kind: discordtest.TimeoutAfter, Delay: 110 * time.Second},
		{Kind: discordtest.Slow, Delay: 30 * time.Second},
		{Kind: discordtest.Slow, Delay: 90 * time.Second},
		{Kind: discordtest.RateLimited, Delay: 1500 * time.Millisecond},
		{Kind: discordtest.RateLimitedDate, Delay: time.Minute},
		{Kind: discordtest.Unavailable},
	}
}

func TestBotPostsExactlyOnceUnderEveryFault(t *testing.T) {
	for _, window := range []time.Duration{5 * time.Minute, time.Second} { // a nonce that is forgotten at once must not matter
		for _, f := range faults() {
			for times := 1; times <= 3; times++ {
				t.Run(fmt.Sprintf("%d times %s of %s, nonces for %s", times, f.Kind, f.Delay, window), func(t *testing.T) {
					bubble(t, "bot", discordtest.Config{NonceWindow: window}, nil, func(t *testing.T, r *rig) {
						r.occupy(t)
						r.fake.Next(times, f)
						receipt, err := deliver.Run(t, r.target, deliver.Attempt(t, r.target, message(1)), timeout)
						if err != nil {
							t.Fatal(err)
						}
						if got := r.fake.Messages(); len(got) != 2 || got[1].ID != receipt.ID {
							t.Errorf("receipt for %s, the messages are %+v", receipt.ID, got)
						}
					})
				})
			}
		}
	}
}

// A webhook never posts twice, and what was not confirmed is told to be unknown.
func TestWebhookPostsNothingTwice(t *testing.T) {
	for _, f := range faults() {
		for times := 1; times <= 3; times++ {
			t.Run(fmt.Sprintf("%d times %s of %s", times, f.Kind, f.Delay), func(t *testing.T) {
				bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
					r.fake.Next(times, f)
					receipt, err := deliver.Run(t, r.target, deliver.Attempt(t, r.target, message(1)), timeout)
					got := r.fake.Messages()
					switch {
					case err == nil && (len(got) != 1 || got[0].ID != receipt.ID):
						t.Errorf("receipt for %s, the messages are %+v", receipt.ID, got)
					case err != nil && !errors.Is(err, deliver.ErrUnknown):
						t.Error(err)
					case err != nil && len(got) > 1:
						t.Errorf("%d messages", len(got))
					}
				})
			})
		}
	}
}

func TestRandomFaultsLoseAndDoubleNothing(t *testing.T) {
	for _, kind := range kinds {
		bubble(t, kind, discordtest.Config{RateLimit: 5}, nil, func(t *testing.T, r *rig) {
			r.occupy(t)
			const posts = 60
			all := faults()
			for _, f := range faults() {
				f.On = func(*http.Request) bool { return true }
				all = append(all, f)
			}
			r.fake.Random(42, 0.6, all...)
			unknown := map[string]bool{}
			for n := 1; n <= posts; n++ {
				_, err := deliver.Run(t, r.target, deliver.Attempt(t, r.target, message(n)), timeout)
				if errors.Is(err, deliver.ErrUnknown) && kind == "webhook" {
					unknown[message(n).Link] = true
				} else if err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Hour)
			count := map[string]int{}
			for _, m := range r.fake.Messages() {
				_, link, _ := strings.Cut(m.Content, "\n")
				count[link]++
			}
			for n := 1; n <= posts; n++ {
				link := message(n).Link
				if c := count[link]; c > 1 || c == 0 && !unknown[link] {
					t.Errorf("%s: post %d is there %d times, told to be unknown: %t", kind, n, c, unknown[link])
				}
			}
			t.Logf("%s: %d posts, %d messages, %d told to be unknown, faults met: %v", kind, posts, len(r.fake.Messages())-1, len(unknown), r.fake.Met())
		})
	}
}

// What makes the tests above worth something.
func TestNaiveClientDoublesPosts(t *testing.T) {
	for _, kind := range kinds {
		doubled := 0
		for _, f := range faults() {
			bubble(t, kind, discordtest.Config{NonceWindow: time.Nanosecond}, nil, func(t *testing.T, r *rig) {
				r.fake.Next(1, f)
				a := deliver.Attempt(t, r.target, message(1))
				for range 20 {
					if _, err := r.target.Send(t.Context(), a); err == nil {
						break
					}
					<-time.After(5 * time.Second)
				}
				if len(r.fake.Messages()) > 1 {
					doubled++
				}
			})
		}
		t.Logf("%s: %d of %d faults double the post", kind, doubled, len(faults()))
		if doubled == 0 {
			t.Errorf("%s: the naive client comes to no harm", kind)
		}
	}
}

func TestWebhookIsNoReconciler(t *testing.T) {
	bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		if _, ok := r.target.(syndicate.Reconciler); ok {
			t.Error("a webhook cannot know what became of an attempt")
		}
		if _, ok := r.target.(syndicate.Recoverer); ok {
			t.Error("a webhook cannot list messages")
		}
	})
}

// Discord shows an empty list to a bot that may not read: that is no proof.
func TestEmptyChannelProvesNothing(t *testing.T) {
	for _, c := range []discordtest.Config{{}, {NoHistory: true}} {
		bubble(t, "bot", c, nil, func(t *testing.T, r *rig) {
			if c.NoHistory {
				r.occupy(t)
			}
			a := deliver.Attempt(t, r.target, message(1))
			r.fake.Next(1, discordtest.Fault{Kind: discordtest.CutBefore})
			_, err := deliver.Run(t, r.target, a, timeout)
			if err == nil {
				t.Fatal("no error")
			}
			a.Last = time.Now().Add(-time.Hour)
			<-time.After(time.Hour)
			_, err = r.target.(syndicate.Reconciler).Reconcile(t.Context(), a)
			e, ok := errors.AsType[*syndicate.Error](err)
			if !ok || !e.Refused || e.NotSent || !strings.Contains(e.Error(), "Read Message History") {
				t.Errorf("%+v: %v, want that nobody knows", c, err)
			}
		})
	}
}

func TestNobodyIsEverPinged(t *testing.T) {
	const nasty = "@everyone @here <@123> <@!123> <@&123> ||@everyone|| `@here` \\@everyone https://blog.example/@everyone"
	for _, kind := range kinds {
		for _, embed := range []bool{false, true} {
			bubble(t, kind, discordtest.Config{}, func(c *discord.Config) { c.Embed = embed }, func(t *testing.T, r *rig) {
				m := message(1)
				m.Text, m.Post.Title, m.ContentWarning = nasty, nasty, nasty
				receipt, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m))
				if err != nil {
					t.Fatal(err)
				}
				m.Text = "again " + nasty
				if _, err := r.target.(syndicate.Editor).Edit(t.Context(), deliver.Attempt(t, r.target, m), receipt); err != nil {
					t.Fatal(err)
				}
				if got := r.only(t); len(got.Pings) > 0 || got.Edits != 1 {
					t.Errorf("%s: %q pings %q after %d edits", kind, got.Content, got.Pings, got.Edits)
				}
			})
		}
	}
}

func TestEmbedIsMadeOfThePost(t *testing.T) {
	for _, kind := range kinds {
		bubble(t, kind, discordtest.Config{}, func(c *discord.Config) { c.Embed = true }, func(t *testing.T, r *rig) {
			m := message(1)
			m.Text = "A summary, with a `tick`."
			m.Post.Image = syndicate.Image{URL: "https://blog.example/1.png"}
			m.Post.Published = time.Date(2026, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600))
			a := deliver.Attempt(t, r.target, m)
			receipt, err := r.target.Send(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			got := r.only(t)
			want := `[{"description":"A summary, with a \\` + "`tick\\\\`" + `.","image":{"url":"https://blog.example/1.png"},"timestamp":"2026-05-06T06:08:09Z","title":"Post \\*number\\* 1","url":"https://blog.example/1"}]`
			if diff := cmp.Diff(want, string(got.Embeds)); diff != "" || got.Content != "" {
				t.Errorf("%s: content %q, embeds (-want +got):\n%s", kind, got.Content, diff)
			}
			if reconciler, ok := r.target.(syndicate.Reconciler); ok {
				if found, err := reconciler.Reconcile(t.Context(), a); err != nil || found != receipt {
					t.Errorf("found %v, error %v, want %v", found, err, receipt)
				}
			}
		})
	}
}

// What a warning is about is hidden until a reader wants to see it.
func TestWarningHidesWhatItIsAbout(t *testing.T) {
	bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		m := message(1)
		m.Text, m.ContentWarning = "It || was him: "+m.Link, "spoiler"
		if _, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m)); err != nil {
			t.Fatal(err)
		}
		if got, want := r.only(t).Content, "spoiler\n|| It \\|\\| was him: https://blog.example/1 ||"; got != want {
			t.Errorf("content %q, want %q", got, want)
		}
	})
	bubble(t, "webhook", discordtest.Config{}, func(c *discord.Config) { c.Embed = true }, func(t *testing.T, r *rig) {
		m := message(1)
		m.Text, m.ContentWarning, m.Post.Image.URL = "It was him", "spoiler", "https://blog.example/him.png"
		if _, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m)); err != nil {
			t.Fatal(err)
		}
		if got := string(r.only(t).Embeds); strings.Contains(got, "him.png") || !strings.Contains(got, `"spoiler\n|| It was him ||"`) {
			t.Errorf("embeds %s", got)
		}
	})
}

func TestReconcileFindsThePostAmongOthers(t *testing.T) {
	for name, change := range map[string]func(*syndicate.Message){
		"as it was":       func(*syndicate.Message) {},
		"with parameters": func(m *syndicate.Message) { m.Link += "?utm_source=discord&a=_b_"; m.Text = m.Link + "." },
		"without a link":  func(m *syndicate.Message) { m.Link, m.Post.URL, m.Text = "", "", "*Just* a note!" },
	} {
		bubble(t, "bot", discordtest.Config{NonceWindow: time.Second}, nil, func(t *testing.T, r *rig) {
			m := message(7)
			change(&m)
			a := deliver.Attempt(t, r.target, m)
			r.fake.Next(1, discordtest.Fault{Kind: discordtest.CutAfter})
			if _, err := r.target.Send(t.Context(), a); err == nil {
				t.Fatal("no error")
			}
			for n := range 250 {
				if _, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, message(100+n))); err != nil {
					t.Fatal(err)
				}
			}
			a.Last = time.Now()
			receipt, err := r.target.(syndicate.Reconciler).Reconcile(t.Context(), a)
			if err != nil || receipt.ID != r.fake.Messages()[0].ID {
				t.Errorf("%s: receipt %v, error %v", name, receipt, err)
			}
		})
	}
}

// Others in the channel may have the link as well.
func TestMessagesOfOthersAreNotOurs(t *testing.T) {
	bubble(t, "bot", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		other := r.config
		other.Bot = syndicate.Secret(r.fake.Bot())
		stranger, err := discord.New(other)
		if err != nil {
			t.Fatal(err)
		}
		a := deliver.Attempt(t, r.target, message(1))
		if _, err := stranger.Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		a.Last = a.Created
		<-time.After(time.Hour)
		if _, err := r.target.(syndicate.Reconciler).Reconcile(t.Context(), a); !errors.Is(err, syndicate.ErrAbsent) {
			t.Errorf("error %v, want ErrAbsent", err)
		}
		if found, err := r.target.(syndicate.Recoverer).Recover(t.Context(), []syndicate.Post{message(1).Post}); err != nil || len(found) > 0 {
			t.Errorf("recovered %v, error %v", found, err)
		}
	})
}

// An older message with the same link is not the announcement.
func TestReconcileDoesNotTakeOlderMessages(t *testing.T) {
	bubble(t, "bot", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		m := message(1)
		if _, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		a := deliver.Attempt(t, r.target, m)
		a.Last = a.Created
		<-time.After(time.Hour)
		if _, err := r.target.(syndicate.Reconciler).Reconcile(t.Context(), a); !errors.Is(err, syndicate.ErrAbsent) {
			t.Errorf("error %v, want ErrAbsent", err)
		}
		// Unless our clock was set back: then nobody knows what is older.
		a.Created = time.Now().Add(24 * time.Hour)
		if _, err := r.target.(syndicate.Reconciler).Reconcile(t.Context(), a); err != nil {
			t.Errorf("error %v after the clock was set back", err)
		}
	})
}

func TestRecoverFindsWhatWasAnnounced(t *testing.T) {
	bubble(t, "bot", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		want := map[string]syndicate.Receipt{}
		var all []syndicate.Post
		for n := range 250 {
			m := message(n)
			m.Post.Published = time.Now()
			all = append(all, m.Post)
			if n%3 == 0 {
				continue // is not announced
			}
			receipt, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m))
			if err != nil {
				t.Fatal(err)
			}
			want[m.Post.ID] = receipt
			<-time.After(time.Hour)
		}
		got, err := r.target.(syndicate.Recoverer).Recover(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("found other than what was announced (-want +got):\n%s", diff)
		}
	})
}

func TestEditChangesTheMessageAndDeleteRemovesIt(t *testing.T) {
	for _, kind := range kinds {
		bubble(t, kind, discordtest.Config{}, func(c *discord.Config) {
			if kind == "webhook" {
				c.Username, c.AvatarURL = "The blog", "https://blog.example/me.png"
			}
		}, func(t *testing.T, r *rig) {
			m := message(1)
			receipt, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, m))
			if err != nil {
				t.Fatal(err)
			}
			m.Text = "Another title\n" + m.Link
			for _, f := range faults() { // an edit may be made again after any error
				f.On = func(req *http.Request) bool { return req.Method == http.MethodPatch }
				r.fake.Next(1, f)
				edited, err := r.target.(syndicate.Editor).Edit(t.Context(), deliver.Attempt(t, r.target, m), receipt)
				if err == nil && edited != receipt {
					t.Errorf("%s: receipt %v after the edit, was %v", kind, edited, receipt)
				}
			}
			if got := r.only(t); got.Content != m.Text || got.Edits != 1 || kind == "webhook" && got.Author != "The blog" {
				t.Errorf("%s: the message is %+v", kind, got)
			}
			for range 2 {
				if err := r.target.(syndicate.Deleter).Delete(t.Context(), receipt); err != nil {
					t.Error(err)
				}
			}
			if !r.only(t).Deleted {
				t.Errorf("%s: the message is still there", kind)
			}
			_, err = r.target.(syndicate.Editor).Edit(t.Context(), deliver.Attempt(t, r.target, m), receipt)
			if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.Refused || e.Everything {
				t.Errorf("%s: edit of what is deleted: %v, want it refused", kind, err)
			}
		})
	}
}

// The address of a webhook and the token of a bot are passwords.
func TestErrorsSayWhatToDoAndNoSecret(t *testing.T) {
	for _, tt := range []struct {
		name, kind string
		config     discordtest.Config
		change     func(*discord.Config)
		spoil      func(*rig)
		everything bool
		says       string
	}{
		{"webhook is gone", "webhook", discordtest.Config{}, nil, func(r *rig) { r.fake.DeleteWebhook(r.webhook) }, true, "Unknown Webhook; the webhook was deleted: make a new one"},
		{"webhook has another token", "webhook", discordtest.Config{}, func(c *discord.Config) { c.Webhook += "x" }, func(*rig) {}, true, "make a new one"},
		{"bot has another token", "bot", discordtest.Config{}, func(c *discord.Config) { c.Bot += "x" }, func(*rig) {}, true, "make a new token"},
		{"no such channel", "bot", discordtest.Config{}, func(c *discord.Config) { c.Channel = "1" }, func(*rig) {}, true, "no such channel"},
		{"may not send", "bot", discordtest.Config{NoSend: true}, nil, func(*rig) {}, true, "Missing Permissions; give the bot the permissions"},
	} {
		bubble(t, tt.kind, tt.config, tt.change, func(t *testing.T, r *rig) {
			tt.spoil(r)
			_, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, message(1)))
			e, ok := errors.AsType[*syndicate.Error](err)
			if !ok || !e.NotSent || !e.Refused || e.Everything != tt.everything || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("%s: %#v, want it refused with %q", tt.name, err, tt.says)
			}
			secret := r.token
			if tt.kind == "webhook" {
				secret = r.webhook[strings.LastIndexByte(r.webhook, '/')+1:]
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v %v", err, r.target, r.target, r.config), secret) {
				t.Errorf("%s: there is the secret", tt.name)
			}
		})
	}
}

// Errors of connections have the address in them, as package net/http makes them.
func TestBrokenConnectionsTellNoSecret(t *testing.T) {
	for _, f := range faults() {
		bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
			f.On = func(*http.Request) bool { return true }
			secret := r.webhook[strings.LastIndexByte(r.webhook, '/')+1:]
			a := deliver.Attempt(t, r.target, message(1))
			for range 2 {
				r.fake.Next(1, f)
				if _, err := r.target.Send(t.Context(), a); err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the error has the secret", f.Kind)
				}
			}
		})
	}
}

func TestFormErrorsNameTheField(t *testing.T) {
	bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		body, err := json.Marshal(map[string]any{"content": "x", "embeds": []any{map[string]any{"image": map[string]any{"url": "ftp://x.example"}}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.target.Send(t.Context(), syndicate.Attempt{Body: body})
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.Refused || e.Everything || !strings.Contains(e.Error(), "Invalid Form Body; embeds.0.image.url: Scheme") {
			t.Errorf("error %v", err)
		}
	})
}

func TestRetryAfterIsHonouredToTheMillisecond(t *testing.T) {
	bubble(t, "webhook", discordtest.Config{}, nil, func(t *testing.T, r *rig) {
		r.fake.Next(1, discordtest.Fault{Kind: discordtest.RateLimited, Delay: 1337 * time.Millisecond})
		_, err := r.target.Send(t.Context(), deliver.Attempt(t, r.target, message(1)))
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.Refused || e.RetryAfter != 1337*time.Millisecond {
			t.Errorf("error %#v, want to be told to come back after 1.337s", err)
		}
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	const good = "https://discord.com/api/webhooks/123/se-cr_et"
	for _, tt := range []struct {
		c    discord.Config
		says string
	}{
		{discord.Config{Webhook: good}, ""},
		{discord.Config{Webhook: "https://canary.discord.com/api/v10/webhooks/123/secret"}, ""},
		{discord.Config{Webhook: "https://discordapp.com/api/webhooks/123/secret/"}, ""},
		{discord.Config{Webhook: "http://127.0.0.1:8080/api/webhooks/123/secret", API: "http://127.0.0.1:8080/api/v10"}, ""},
		{discord.Config{Bot: "secret", Channel: "123"}, ""},
		{discord.Config{}, "neither Webhook nor Bot"},
		{discord.Config{Webhook: "http://127.0.0.1:8080/api/webhooks/123/secret"}, ""},
		{discord.Config{Webhook: "http://discord.com/api/webhooks/123/secret"}, "the Webhook is no address"},
		{discord.Config{Webhook: "https://discord.example/api/webhooks/123/secret"}, "the Webhook is no address"},
		{discord.Config{Webhook: "https://discord.com.example/api/webhooks/123/secret"}, "the Webhook is no address"},
		{discord.Config{Webhook: good + "/slack"}, "the Webhook is no address"},
		{discord.Config{Webhook: "\x7f secret"}, "the Webhook is no address"},
		{discord.Config{Webhook: good, Bot: "secret", Channel: "1"}, "both Webhook and Bot"},
		{discord.Config{Webhook: good, Channel: "1"}, "a webhook has its channel"},
		{discord.Config{Bot: "secret"}, "the Channel is"},
		{discord.Config{Bot: "secret", Channel: "#blog"}, "the Channel is"},
		{discord.Config{Channel: "123"}, "needs the bot's token"},
		{discord.Config{Bot: "se cret", Channel: "123"}, "the Bot token has blanks"},
		{discord.Config{Bot: "secret", Channel: "123", Username: "me"}, "those of its account"},
		{discord.Config{Webhook: good, Username: "My Discord"}, "Username"},
		{discord.Config{Webhook: good, Username: strings.Repeat("x", 81)}, "more than 80"},
		{discord.Config{Webhook: good, AvatarURL: "me.png"}, "the AvatarURL is"},
		{discord.Config{Webhook: good, API: "discord.com"}, "the API is"},
		{discord.Config{Webhook: good, Settle: -1}, "the Settle is"},
	} {
		_, err := discord.New(tt.c)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%+v: error %v, want %q", tt.c, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("the error has the secret: %v", err)
		}
	}
}

// Whatever is to be said, Discord takes it, and nobody is notified.
func FuzzWhatIsComposedIsTaken(f *testing.F) {
	f.Add("Hello https://blog.example/1", "Title", "", true, false)
	f.Add(strings.Repeat("*_~`|<@everyone>", 400), strings.Repeat("#", 300), "mind | this", true, true)
	f.Add("\x00\r\n https://blog.example/1_a*b. 👨‍👩‍👧‍👦", "\xff", strings.Repeat("w|", 2000), false, true)
	f.Fuzz(func(t *testing.T, text, title, warning string, linked, card bool) {
		fake := discordtest.New(discordtest.Config{})
		target, err := discord.New(discord.Config{Bot: syndicate.Secret(fake.Bot()), Channel: fake.Channel(), Embed: card, Client: pipe.Serve(t, fake)})
		if err != nil {
			t.Fatal(err)
		}
		m := syndicate.Message{Post: syndicate.Post{ID: "1", Title: title}, Text: text, ContentWarning: warning}
		if linked {
			m.Link = "https://blog.example/1_a*b"
			m.Post.URL = m.Link
		}
		body, err := target.(syndicate.Composer).Compose(t.Context(), m)
		if e, ok := errors.AsType[*syndicate.Error](err); ok && e.Refused && !linked {
			return // nothing to say
		}
		if err != nil || len(body) > syndicate.MaxBody {
			t.Fatalf("compose: %d bytes, error %v", len(body), err)
		}
		a := syndicate.Attempt{ID: "1", Key: strings.Repeat("0", 32), Link: m.Link, Body: body, Created: time.Now().UTC()}
		receipt, err := target.Send(t.Context(), a)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		for _, got := range fake.Messages() {
			if len(got.Pings) > 0 || linked && !card && !strings.Contains(got.Content, m.Link) {
				t.Errorf("%q pings %q", got.Content, got.Pings)
			}
		}
		a.Last = time.Now().Add(-time.Hour)
		if found, err := target.(syndicate.Reconciler).Reconcile(t.Context(), a); err != nil || found != receipt {
			t.Errorf("%s: found %v, error %v; want %v", body, found, err, receipt)
		}
	})
}
