// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/openapi"
	"xeiaso.net/site/internal/test/pipe"
	"xeiaso.net/site/syndicate/discordtest"
)

// caller makes requests, whose answers are held against Discord's document.
type caller struct {
	t      *testing.T
	client *http.Client
	token  string
	hook   string // the path of the webhook
}

func (c caller) call(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	status, answer := c.raw(method, path, body)
	var fields map[string]any
	if len(answer) > 0 && json.Unmarshal(answer, &fields) != nil {
		c.t.Fatalf("%s %s: status %d: %s", method, path, status, answer)
	}
	return status, fields
}

// raw returns status 0 if there was no whole answer.
func (c caller) raw(method, path, body string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://discord.com/api/v10"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Close = true
	if c.token != "" {
		req.Header.Set("Authorization", "Bot "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// each runs a test on a server in a bubble of its own. Requests that are wrong on
// purpose would be complained about, so lax ones are not held against the
// document.
func each(t *testing.T, c discordtest.Config, lax bool, test func(t *testing.T, fake *discordtest.Server, c caller)) {
	t.Helper()
	var spec *openapi.Document
	if !lax {
		spec = openapi.Load(t, "discord-openapi.json")
		spec.Forgive = []string{"$.errors"} // codes of errors in forms are words, also in the rest of the documentation
	}
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2015
		fake := discordtest.New(c)
		var h http.Handler = fake
		if spec != nil {
			h = spec.Wrap(t, "/api/v10", h)
		}
		hook := strings.TrimPrefix(fake.Webhook(), "https://discord.com/api")
		test(t, fake, caller{t, pipe.Serve(t, h), fake.Bot(), hook})
	})
}

func TestAnswersAreAsDiscordDocumentsThem(t *testing.T) {
	each(t, discordtest.Config{}, false, func(t *testing.T, fake *discordtest.Server, c caller) {
		const body = `{"content":"Hello @everyone <@1>","embeds":[{"title":"t","url":"https://blog.example/","color":null,"fields":[{"name":"n","value":"v"}]}],"allowed_mentions":{"parse":["everyone"]}}`
		channel := "/channels/" + fake.Channel()
		for _, where := range []string{c.hook, channel} {
			messages, query := where+"/messages", ""
			create := messages
			if where == c.hook {
				create, query = where, "?wait=true"
			}
			status, made := c.call("POST", create+query, body)
			if status != 200 || made["mention_everyone"] != true {
				t.Fatalf("status %d: %v", status, made)
			}
			id := fmt.Sprint(made["id"])
			for _, step := range []struct {
				method, path, body string
				status             int
			}{
				{"GET", where, "", 200},
				{"GET", messages + "/" + id, "", 200},
				{"PATCH", messages + "/" + id, `{"content":"Bye","embeds":[]}`, 200},
				{"DELETE", messages + "/" + id, "", 204},
				{"GET", messages + "/" + id, "", 404},
				{"PATCH", messages + "/" + id, `{"content":"Bye"}`, 404},
				{"POST", create, `{"content":""}`, 400},
				{"POST", create, `{"embeds":[{"title":"` + strings.Repeat("x", 250) + `"}],"username":"discord"}`, 400},
			} {
				if where == channel && strings.Contains(step.body, "username") {
					continue
				}
				if status, got := c.call(step.method, step.path, step.body); status != step.status {
					t.Errorf("%s %s: status %d, want %d: %v", step.method, step.path, status, step.status, got)
				}
			}
		}
		if status, _ := c.call("POST", c.hook, body); status != 204 {
			t.Errorf("without wait: status %d, want 204", status)
		}
		if status, _ := c.raw("GET", channel+"/messages?limit=2", ""); status != 200 {
			t.Errorf("list: status %d", status)
		}
		if status, me := c.call("GET", "/users/@me", ""); status != 200 || me["bot"] != true {
			t.Errorf("status %d: %v", status, me)
		}
		fake.Next(1, discordtest.Fault{Kind: discordtest.RateLimited, Delay: 1500 * time.Millisecond})
		if status, got := c.call("POST", c.hook, body); status != 429 || got["retry_after"] != 1.5 {
			t.Errorf("status %d: %v", status, got)
		}
		if got := fake.Messages()[0]; !slices.Equal(got.Pings, []string{"@everyone"}) || !got.Deleted || got.Edits != 1 {
			t.Errorf("the server has %+v", got)
		}
	})
}

func TestRefusesWhatDiscordRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	each(t, discordtest.Config{}, true, func(t *testing.T, fake *discordtest.Server, c caller) {
		messages := "/channels/" + fake.Channel() + "/messages"
		own, mine := c.call("POST", messages, `{"content":"mine"}`)
		if own != 200 {
			t.Fatal(mine)
		}
		stranger := c
		stranger.token = fake.Bot()
		for _, tt := range []struct {
			name               string
			c                  caller
			method, path, body string
			status             int
			says               string
		}{
			{"unknown webhook", c, "POST", "/webhooks/999/x", `{"content":"x"}`, 404, "10015"},
			{"wrong token of a webhook", c, "POST", c.hook + "x", `{"content":"x"}`, 401, "50027"},
			{"no token", caller{t: t, client: c.client}, "POST", messages, `{"content":"x"}`, 401, "401: Unauthorized"},
			{"unknown channel", c, "POST", "/channels/1/messages", `{"content":"x"}`, 404, "10003"},
			{"unknown message", c, "DELETE", messages + "/1", "", 404, "10008"},
			{"message of another", stranger, "PATCH", messages + "/" + fmt.Sprint(mine["id"]), `{"content":"x"}`, 403, "50005"},
			{"empty", c, "POST", c.hook, `{"content":"  "}`, 400, "50006"},
			{"no JSON", c, "POST", c.hook, `x`, 400, "50109"},
			{"2001 characters", c, "POST", c.hook, `{"content":"` + long(2001) + `"}`, 400, `"content":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH"`},
			{"1001 emoji", c, "POST", c.hook, `{"content":"` + strings.Repeat("🦊", 1001) + `"}`, 400, "BASE_TYPE_MAX_LENGTH"},
			{"2000 characters", c, "POST", c.hook, `{"content":"` + long(2000) + `"}`, 204, ""},
			{"long title", c, "POST", c.hook, `{"embeds":[{"title":"` + long(257) + `"}]}`, 400, `"embeds":{"0":{"title":`},
			{"long description", c, "POST", c.hook, `{"embeds":[{"description":"` + long(4097) + `"}]}`, 400, "Must be 4096 or fewer"},
			{"long in sum", c, "POST", c.hook, `{"embeds":[{"description":"` + long(4096) + `"},{"description":"` + long(1905) + `"}]}`, 400, "MAX_EMBED_SIZE_EXCEEDED"},
			{"eleven embeds", c, "POST", c.hook, `{"embeds":[` + strings.Repeat(`{"title":"x"},`, 10) + `{"title":"x"}]}`, 400, "Must be 10 or fewer"},
			{"empty embed", c, "POST", c.hook, `{"embeds":[{"url":"https://blog.example/"}]}`, 400, "50006"},
			{"odd address", c, "POST", c.hook, `{"embeds":[{"title":"x","url":"ftp://blog.example/"}]}`, 400, "URL_TYPE_INVALID_SCHEME"},
			{"odd name", c, "POST", c.hook, `{"content":"x","username":"Clyde2"}`, 400, "USERNAME_INVALID_CONTAINS"},
			{"nonce by a webhook", c, "POST", c.hook, `{"content":"x","nonce":"1"}`, 400, "nonce"},
			{"long nonce", c, "POST", messages, `{"content":"x","nonce":"` + long(26) + `"}`, 400, "25 or fewer"},
			{"odd mentions", c, "POST", messages, `{"content":"x","allowed_mentions":{"parse":["all"]}}`, 400, "BASE_TYPE_CHOICES"},
			{"long list", c, "GET", messages + "?limit=101", "", 400, "between 1 and 100"},
		} {
			status, answer := tt.c.raw(tt.method, tt.path, tt.body)
			if status != tt.status || !strings.Contains(string(answer), tt.says) {
				t.Errorf("%s: status %d: %s; want %d: %s", tt.name, status, answer, tt.status, tt.says)
			}
		}
	})
}

// A backslash hides a mention from readers only.
func TestPingsAreNoticed(t *testing.T) {
	for allowed, want := range map[string][]string{
		"":                                 {"@everyone", "<@1>", "<@&2>", "@here"},
		`,"allowed_mentions":{"parse":[]}`: nil,
		`,"allowed_mentions":{}`:           nil,
		`,"allowed_mentions":{"parse":["users"]}`:            {"<@1>"},
		`,"allowed_mentions":{"parse":["roles","everyone"]}`: {"@everyone", "<@&2>", "@here"},
		`,"allowed_mentions":{"users":["1"],"roles":["3"]}`:  {"<@1>"},
	} {
		each(t, discordtest.Config{}, true, func(t *testing.T, fake *discordtest.Server, c caller) {
			if status, _ := c.raw("POST", c.hook, `{"content":"@everyone <@1> \\<@&2> \\@here"`+allowed+`}`); status != 204 {
				t.Fatalf("status %d", status)
			}
			if got := fake.Messages()[0].Pings; !slices.Equal(got, want) {
				t.Errorf("with %q: pings %q, want %q", allowed, got, want)
			}
		})
	}
}

func TestNoncesAreEnforcedForSomeMinutes(t *testing.T) {
	each(t, discordtest.Config{}, false, func(t *testing.T, fake *discordtest.Server, c caller) {
		messages := "/channels/" + fake.Channel() + "/messages"
		for range 4 { // at 0, 2, 4 and 6 minutes
			c.call("POST", messages, `{"content":"x","nonce":"1","enforce_nonce":true}`)
			<-time.After(2 * time.Minute)
		}
		if n := len(fake.Messages()); n != 2 {
			t.Errorf("%d messages with an enforced nonce, want 2", n)
		}
		for range 3 {
			c.call("POST", messages, `{"content":"x","nonce":"2"}`)
		}
		if n := len(fake.Messages()); n != 5 {
			t.Errorf("%d messages, want 5: it was not enforced", n)
		}
	})
}

func TestListsInEveryDirection(t *testing.T) {
	each(t, discordtest.Config{}, false, func(t *testing.T, fake *discordtest.Server, c caller) {
		channel := fake.Channel()
		for n := range 10 {
			c.call("POST", "/channels/"+channel+"/messages", fmt.Sprintf(`{"content":"%d"}`, n))
		}
		id := fake.Messages()[5].ID
		for query, want := range map[string]string{
			"limit=3":              "987",
			"limit=3&before=" + id: "432",
			"limit=3&after=" + id:  "876",
			"limit=3&around=" + id: "654",
			"":                     "9876543210",
		} {
			_, answer := c.raw("GET", "/channels/"+channel+"/messages?"+query, "")
			var list []struct{ Content string }
			if err := json.Unmarshal(answer, &list); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, m := range list {
				got.WriteString(m.Content)
			}
			if got.String() != want {
				t.Errorf("%s: %s, want %s", query, got.String(), want)
			}
		}
	})
}

func TestMessagesAreCounted(t *testing.T) {
	each(t, discordtest.Config{RateLimit: 2}, false, func(t *testing.T, fake *discordtest.Server, c caller) {
		var got []int
		for range 3 {
			status, _ := c.call("POST", c.hook, `{"content":"x"}`)
			got = append(got, status)
		}
		<-time.After(5 * time.Second)
		status, _ := c.call("POST", c.hook, `{"content":"x"}`)
		if got = append(got, status); !slices.Equal(got, []int{204, 204, 429, 204}) {
			t.Errorf("statuses %v", got)
		}
	})
}

func TestFaultsLoseTheAnswerAndNotTheMessage(t *testing.T) {
	for _, tt := range []struct {
		fault  discordtest.Fault
		status int
		seen   int
	}{
		{discordtest.Fault{Kind: discordtest.CutBefore}, 0, 0},
		{discordtest.Fault{Kind: discordtest.CutAfter}, 0, 1},
		{discordtest.Fault{Kind: discordtest.CutAnswer}, 0, 1},
		{discordtest.Fault{Kind: discordtest.ErrorAfter}, 500, 1},
		{discordtest.Fault{Kind: discordtest.TimeoutAfter, Delay: time.Minute}, 504, 0},
		{discordtest.Fault{Kind: discordtest.Slow, Delay: time.Minute}, 200, 1},
		{discordtest.Fault{Kind: discordtest.RateLimitedDate, Delay: time.Minute}, 429, 0},
		{discordtest.Fault{Kind: discordtest.Unavailable}, 503, 0},
	} {
		each(t, discordtest.Config{}, true, func(t *testing.T, fake *discordtest.Server, c caller) {
			messages := "/channels/" + fake.Channel() + "/messages"
			fake.Next(1, tt.fault)
			if status, _ := c.raw("POST", messages, `{"content":"x"}`); status != tt.status {
				t.Errorf("%s: status %d, want %d", tt.fault.Kind, status, tt.status)
			}
			if _, list := c.raw("GET", messages, ""); strings.Count(string(list), `"content"`) != tt.seen {
				t.Errorf("%s: list %s, want %d", tt.fault.Kind, list, tt.seen)
			}
		})
	}
}
