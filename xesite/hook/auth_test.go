// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/xesite/hook"
)

// signatureOf names the header in which a forge signs.
var signatureOf = map[hook.Forge]string{
	hook.GitHub:    "X-Hub-Signature-256",
	hook.GitLab:    "X-Gitlab-Token",
	hook.Forgejo:   "X-Forgejo-Signature",
	hook.Bitbucket: "X-Hub-Signature",
}

func TestBadSignaturesAreRefused(t *testing.T) {
	for _, forge := range forges {
		name := signatureOf[forge]
		for fault, spoil := range map[string]func(h http.Header, good string){
			"missing":    func(h http.Header, _ string) { h.Del(name) },
			"empty":      func(h http.Header, _ string) { h.Set(name, "") },
			"prefix":     func(h http.Header, _ string) { h.Set(name, "sha256=") },
			"cut":        func(h http.Header, good string) { h.Set(name, good[:len(good)-2]) },
			"longer":     func(h http.Header, good string) { h.Set(name, good+"00") },
			"last digit": func(h http.Header, good string) { h.Set(name, good[:len(good)-1]+"g") },
			"algorithm":  func(h http.Header, good string) { h.Set(name, "sha1="+good) },
			"twice":      func(h http.Header, good string) { h.Add(name, good) },
			"other one's": func(h http.Header, _ string) {
				forge.Sign(h, "another secret", []byte("{}"))
			},
			"good SHA-1": func(h http.Header, _ string) {
				h.Del(name)
				h.Set("X-Hub-Signature", "sha1=5b8b0a0b2d2e0a6d7c6f3e3a4b1c0d9e8f7a6b5c")
			},
		} {
			t.Run(string(forge)+"/"+fault, func(t *testing.T) {
				h, got := newHandler(t, forge)
				r := newRequest(t, pushOf(forge))
				spoil(r.Header, r.Header.Get(name))
				deliver(t, h, r, http.StatusUnauthorized)
				got.want(t, 0)
			})
		}
	}
}

func TestBodyIsSigned(t *testing.T) {
	for _, forge := range []hook.Forge{hook.GitHub, hook.Forgejo, hook.Bitbucket} {
		h, got := newHandler(t, forge)
		r := newRequest(t, pushOf(forge))
		other := newRequest(t, hook.Push{Forge: forge, Branch: "main"})
		r.Body, r.ContentLength = other.Body, other.ContentLength
		deliver(t, h, r, http.StatusUnauthorized)
		got.want(t, 0)
	}
}

func TestSecretsRotate(t *testing.T) {
	for _, forge := range forges {
		for _, secrets := range [][]hook.Secret{{password, "other"}, {"other", password}, {"a", "b", password}} {
			h, got := newHandler(t, forge, func(c *hook.Config) { c.Secrets = secrets })
			// What the caller does with its slice later changes nothing.
			clear(secrets)
			deliver(t, h, newRequest(t, pushOf(forge)), http.StatusAccepted)
			got.want(t, 1)
		}
	}
}

// TestGitHubsOwnVector is the example in GitHub's documentation.
func TestGitHubsOwnVector(t *testing.T) {
	const good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	h, _ := newHandler(t, hook.GitHub, func(c *hook.Config) { c.Secrets = []hook.Secret{"It's a Secret to Everybody"} })
	for signature, status := range map[string]int{
		good:                               http.StatusOK,
		strings.Replace(good, "7", "8", 1): http.StatusUnauthorized,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("Hello, World!"))
		r.Header.Set("X-GitHub-Event", "ping")
		r.Header.Set("X-Hub-Signature-256", signature)
		deliver(t, h, r, status)
	}
	header := http.Header{}
	hook.GitHub.Sign(header, "It's a Secret to Everybody", []byte("Hello, World!"))
	if got := header.Get("X-Hub-Signature-256"); got != good {
		t.Errorf("Sign = %q, want %q", got, good)
	}
}

// TestOwnHeaderDecides has all combinations of the headers that Forgejo and
// Gitea send at the same time.
func TestOwnHeaderDecides(t *testing.T) {
	const absent, good, bad = "", "good", "bad"
	for _, c := range []struct {
		forgejo, gitea, github string
		status                 int
	}{
		{good, good, good, http.StatusAccepted},
		{good, bad, bad, http.StatusAccepted},
		{good, absent, absent, http.StatusAccepted},
		{bad, good, good, http.StatusUnauthorized},
		{bad, absent, good, http.StatusUnauthorized},
		{absent, good, bad, http.StatusAccepted},
		{absent, good, absent, http.StatusAccepted},
		{absent, bad, good, http.StatusUnauthorized},
		{absent, absent, good, http.StatusAccepted},
		{absent, absent, bad, http.StatusUnauthorized},
		{absent, absent, absent, http.StatusUnauthorized},
	} {
		for _, forge := range []hook.Forge{hook.Forgejo, hook.GitHub} {
			h, _ := newHandler(t, forge)
			body := `{"ref":"refs/heads/main"}`
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			set := func(header, prefix, quality string) {
				mac := hmac.New(sha256.New, []byte(password.Reveal()+strings.TrimPrefix(quality, good)))
				mac.Write([]byte(body))
				if quality != absent {
					r.Header.Set(header, prefix+hex.EncodeToString(mac.Sum(nil)))
				}
			}
			set("X-Forgejo-Signature", "", c.forgejo)
			set("X-Gitea-Signature", "", c.gitea)
			set("X-Hub-Signature-256", "sha256=", c.github)
			r.Header.Set("X-GitHub-Event", "push")
			if _, header := deliver(t, h, r, c.status); t.Failed() {
				t.Fatalf("%s: %+v, %v", forge, c, header)
			}
		}
	}
}

// standardSecret, and the vector below, are those of the Standard Webhooks
// project's own tests.
const standardSecret = hook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

func TestStandardWebhooksVector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signedAt := time.Unix(1614265330, 0)
		<-time.After(time.Until(signedAt))
		const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
		for _, c := range []struct {
			signature string
			wait      time.Duration
			status    int
		}{
			{good, 0, http.StatusOK},
			{"v2,AAAA v1,AAAA " + good, 0, http.StatusOK},
			{strings.Replace(good, "g0", "g1", 1), 0, http.StatusUnauthorized},
			{strings.TrimPrefix(good, "v1,"), 0, http.StatusUnauthorized},
			{"", 0, http.StatusUnauthorized},
			{good, 5 * time.Minute, http.StatusOK},
			{good, time.Second, http.StatusUnauthorized},
		} {
			<-time.After(c.wait)
			h, _ := newHandler(t, hook.GitLab, func(cfg *hook.Config) { cfg.Secrets = []hook.Secret{password, standardSecret} })
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"test": 2432232314}`))
			// The signature is there, so a good token does not count.
			r.Header.Set("X-Gitlab-Token", password.Reveal())
			r.Header.Set("X-Gitlab-Event", "Job Hook")
			r.Header.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
			r.Header.Set("webhook-timestamp", "1614265330")
			r.Header.Set("webhook-signature", c.signature)
			if _, header := deliver(t, h, r, c.status); t.Failed() {
				t.Fatalf("%+v, %v", c, header)
			}
		}
	})
}

func TestGitLabSigningToken(t *testing.T) {
	request := func(secret hook.Secret, push hook.Push) *http.Request {
		r, err := hook.NewRequest(t.Context(), "http://site.example/", secret, push)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	h, got := newHandler(t, hook.GitLab, func(c *hook.Config) { c.Secrets = []hook.Secret{standardSecret} })
	deliver(t, h, request(standardSecret, pushOf(hook.GitLab)), http.StatusAccepted)
	got.want(t, 1)

	// A signing token is a key; sent in the clear it counts for nothing.
	r := request("x", pushOf(hook.GitLab))
	r.Header.Set("X-Gitlab-Token", standardSecret.Reveal())
	deliver(t, h, r, http.StatusUnauthorized)
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp"} {
		r := request(standardSecret, pushOf(hook.GitLab))
		r.Header.Del(name)
		deliver(t, h, r, http.StatusUnauthorized)
	}
	got.want(t, 1)

	// Who has not been given the signing token yet goes on with the secret.
	h, got = newHandler(t, hook.GitLab)
	r = request(standardSecret, pushOf(hook.GitLab))
	r.Header.Set("X-Gitlab-Token", password.Reveal())
	deliver(t, h, r, http.StatusAccepted)
	got.want(t, 1)
}

func TestSignIgnoresUnknownForges(t *testing.T) {
	header := http.Header{}
	hook.Forge("sourceforge").Sign(header, password, nil)
	if len(header) != 0 {
		t.Errorf("Sign set %v", header)
	}
}

// FuzzHandler sends what it is given with a good and with a bad signature.
func FuzzHandler(f *testing.F) {
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for i, forge := range forges {
		for _, body := range []string{
			`{"ref":"refs/heads/main","after":"` + after + `"}`,
			`{"ref":"refs/heads/-x\u0000","deleted":true}`,
			`{"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"` + after + `"}}},null]}}`,
			"", "null", "{", strings.Repeat("[", 100),
		} {
			f.Add(i, json, "push", "id", "sha256=00", body)
			f.Add(i, form, string(forge), "", "v1,AAAA", "payload="+body)
		}
	}
	f.Fuzz(func(t *testing.T, i int, contentType, event, id, signature, body string) {
		forge := forges[uint(i)%uint(len(forges))]
		h, got := newHandler(t, forge, func(c *hook.Config) { c.Branch, c.Logger = "", nil })
		request := func() *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			for _, name := range []string{"X-GitHub-Event", "X-Gitlab-Event", "X-Event-Key"} {
				r.Header.Set(name, event)
			}
			for _, name := range []string{"X-GitHub-Delivery", "Idempotency-Key", "X-Request-Uuid"} {
				r.Header.Set(name, id)
			}
			return r
		}
		r := request()
		for _, name := range []string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Gitlab-Token", "Webhook-Signature"} {
			r.Header.Set(name, signature)
		}
		deliver(t, h, r, http.StatusUnauthorized)
		got.want(t, 0)

		r = request()
		forge.Sign(r.Header, password, []byte(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest:
			got.want(t, 0)
		case http.StatusAccepted:
			for _, p := range got.pushes {
				if p.Branch == "" || strings.ContainsAny(p.Branch, "\x00\n ~^:") || p.Branch[0] == '-' || p.Deleted {
					t.Errorf("received %+v", p)
				}
			}
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		checkAnswer(t, w.Result())
	})
}

func BenchmarkHandler(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"20kB", 20 << 10}, {"25MiB", hook.MaxBody - 100}} {
		for _, forge := range forges {
			b.Run(size.name+"/"+string(forge), func(b *testing.B) {
				h, _ := newHandler(b, forge, func(c *hook.Config) {
					c.Logger = nil
					c.Secrets = []hook.Secret{"another", password}
				})
				body := `{"ref":"refs/heads/main","filler":"` + strings.Repeat("x", size.bytes) + `"}`
				template := rawRequest(b, forge, "application/json", body)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", strings.NewReader(body))
					r.Header = template.Header
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code >= 300 {
						b.Fatal(w.Code, w.Body)
					}
				}
			})
		}
	}
}
