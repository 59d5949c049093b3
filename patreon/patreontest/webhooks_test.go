// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/patreon/patreontest"
)

// receiver takes webhooks.
type receiver struct {
	mu     sync.Mutex // guards everything below
	status int
	got    []delivery
}

type delivery struct {
	header http.Header
	body   string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, delivery{req.Header.Clone(), string(body)})
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) all() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// events returns the names of what came.
func (r *receiver) events() string {
	var names []string
	for _, d := range r.all() {
		names = append(names, d.header.Get("X-Patreon-Event"))
	}
	return strings.Join(names, " ")
}

// hooked returns a rig with a webhook, and what it is sent to.
func hooked(t *testing.T, triggers ...string) (*rig, *receiver, patreontest.Hook) {
	t.Helper()
	r := newRig(t, patreontest.Config{})
	to := &receiver{status: 204}
	h := r.fake.AddWebhook(patreontest.Hook{Client: clientID, Campaign: r.campaign, URI: r.serve(to) + "/hook", Triggers: triggers})
	return r, to, h
}

func (r *rig) hook() patreontest.Hook {
	r.t.Helper()
	hooks := r.fake.Hooks()
	if len(hooks) != 1 {
		r.t.Fatalf("%d webhooks", len(hooks))
	}
	return hooks[0]
}

func TestSignaturesAreHMACMD5(t *testing.T) {
	for _, tt := range []struct{ secret, body, want string }{
		{"Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"}, // RFC 2202
		{"secret", "testing", "a964f51f0ae9c643aca91bfbc66f6d78"},
		{"secret", `{"data":{"type":"post"}}`, "607ab2394f5c0de6f35b1aabecd0c851"},
	} {
		if got := patreontest.Sign(tt.secret, []byte(tt.body)); got != tt.want {
			t.Errorf("Sign(%q, %q) = %s, want %s", tt.secret, tt.body, got, tt.want)
		}
	}
}

func TestAClientManagesItsWebhooks(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	create := func(uri string) string {
		return `{"data":{"type":"webhook","attributes":{"triggers":["members:create","posts:publish"],"uri":"` + uri +
			`"},"relationships":{"campaign":{"data":{"type":"campaign","id":"` + r.campaign + `"}}}}}`
	}
	made := r.want(r.send("POST", token, "/webhooks", create("https://blog.example/hook")), 200).json(t)
	id, attributes := at(made, "data", "id").(string), at(made, "data", "attributes").(map[string]any)
	if attributes["secret"] == "" || attributes["paused"] != false || attributes["num_consecutive_times_failed"] != 0. || attributes["last_attempted_at"] != nil {
		t.Errorf("made %v", attributes)
	}
	listed := r.want(r.get(token, "/webhooks", fields("webhook")...), 200).json(t)
	if got := at(listed, "data", 0, "attributes", "secret"); got != attributes["secret"] {
		t.Errorf("secret %v, want %v", got, attributes["secret"])
	}
	edited := r.want(r.send("PATCH", token, "/webhooks/"+id, `{"data":{"type":"webhook","id":"`+id+`","attributes":{"triggers":["posts:delete"],"paused":true}}}`), 200).json(t)
	if got := fmt.Sprintf("%v %v %v", at(edited, "data", "attributes", "triggers"), at(edited, "data", "attributes", "paused"), at(edited, "data", "attributes", "uri")); got != "[posts:delete] true https://blog.example/hook" {
		t.Errorf("edited %s", got)
	}
	// Another client's token for the same user sees nothing of it.
	r.fake.AddClient(patreontest.Client{ID: "other", Secret: secret})
	other := r.fake.Portal("other", r.creator).AccessToken
	if got := r.want(r.get(other, "/webhooks"), 200).json(t); len(got["data"].([]any)) != 0 {
		t.Errorf("another client sees %v", got)
	}
	r.want(r.send("DELETE", other, "/webhooks/"+id, ""), 404)
	r.want(r.send("DELETE", token, "/webhooks/"+id, ""), 204)
	r.want(r.send("DELETE", token, "/webhooks/"+id, ""), 404)
}

func TestAWebhookThatMakesNoSenseIsRefused(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	foreign := r.fake.AddCampaign(patreontest.Campaign{Creator: r.fake.AddUser(patreontest.User{})})
	document := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"data":{"type":"webhook","attributes":{"triggers":["members:create"],"uri":"https://blog.example/"},"relationships":{"campaign":{"data":{"type":"campaign","id":"` + r.campaign + `"}}}}}`)
	}
	for _, tt := range []struct {
		kind, body string
		status     int
	}{
		{"application/json", document(), 200},
		{"text/plain", document(), 400},
		{"application/json", document("members:create", "pledges:create"), 400},
		{"application/json", document(`"members:create"`, ""), 400},
		{"application/json", document("https://", "ftp://"), 400},
		{"application/json", document(`"uri"`, `"url"`), 400},
		{"application/json", document(`"type":"webhook"`, `"type":"hook"`), 400},
		{"application/json", document(`"type":"campaign"`, `"type":"tier"`), 400},
		{"application/json", document(`"uri":`, `"paused":true,"uri":`), 400},
		{"application/json", document(`"`+r.campaign+`"`, `"`+foreign+`"`), 403},
		{"application/json", document(`"`+r.campaign+`"`, `"1"`), 404},
		{"application/json", document() + "{}", 400},
		{"application/json", "[]", 400},
		{"application/json", "", 400},
	} {
		r.want(r.do("POST", r.lax+api+"/webhooks", token, tt.kind, tt.body), tt.status)
	}
	if n := len(r.fake.Hooks()); n != 1 {
		t.Errorf("%d webhooks, want 1", n)
	}
}

func TestEventsAreSignedAndSentToWhomTheyAreFor(t *testing.T) {
	r, to, h := hooked(t, "members:create", "members:pledge:create", "pledges:create")
	members := r.fake.FillMembers(r.campaign, 1)
	post := r.fake.AddPost(patreontest.Post{Campaign: r.campaign})
	elsewhere := r.fake.AddMember(patreontest.Member{Campaign: r.fake.AddCampaign(patreontest.Campaign{}), User: r.creator})
	for _, e := range []struct {
		event   string
		payload any
	}{
		{"members:create", members[0]},
		{"members:create", elsewhere},
		{"members:delete", members[0]},
		{"posts:publish", post},
		{"members:pledge:create", patreontest.PortalTest("members:pledge:create")},
		{"pledges:create", patreontest.V1Pledge("pledges:create")},
		{"members:create", map[string]any{"data": nil}},
	} {
		if err := r.fake.Emit(t.Context(), e.event, e.payload); err != nil {
			t.Error(err)
		}
	}
	if got, want := to.events(), "members:create members:pledge:create pledges:create members:create"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	for _, d := range to.all() {
		if got, want := d.header.Get("X-Patreon-Signature"), patreontest.Sign(h.Secret, []byte(d.body)); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
		if kind := d.header.Get("Content-Type"); kind != "application/json" || !json.Valid([]byte(d.body)) {
			t.Errorf("content type %s: %s", kind, d.body)
		}
	}
	if err := r.fake.Emit(t.Context(), "members:rename", members[0]); err == nil {
		t.Error("there is an event members:rename")
	}
	if err := r.fake.Emit(t.Context(), "members:create", "nobody"); err == nil {
		t.Error("there is an event about nobody")
	}
}

func TestPayloadsHaveTheFormsOfRealOnes(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	member := r.fake.FillMembers(r.campaign, 1)[0]
	r.fake.DeleteMember(member)
	post := r.fake.AddPost(patreontest.Post{Campaign: r.campaign})
	read := func(body []byte) (v map[string]any) {
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return v
	}
	about := read(r.fake.Payload("members:delete", member))
	if at(about, "data", "id") != member || at(about, "data", "attributes", "patron_status") != "active_patron" || at(about, "links", "self") == nil {
		t.Errorf("payload %v", about)
	}
	var kinds []string
	for _, i := range at(about, "included").([]any) {
		kinds = append(kinds, at(i, "type").(string))
	}
	if slices.Sort(kinds); fmt.Sprint(kinds) != "[campaign tier user]" {
		t.Errorf("included %v", kinds)
	}
	if about := read(r.fake.Payload("posts:publish", post)); at(about, "data", "type") != "post" || at(about, "data", "relationships", "user", "data", "id") != r.creator {
		t.Errorf("payload %v", about)
	}
	if got := r.fake.Payload("posts:publish", member); got != nil {
		t.Errorf("payload %s", got)
	}
	button := read(patreontest.PortalTest("members:update"))
	if id, ok := at(button, "data").(map[string]any)["id"]; !ok || id != nil {
		t.Errorf("payload of the button %v", button)
	}
	if old := read(patreontest.V1Pledge("pledges:delete")); at(old, "data", "type") != "pledge" {
		t.Errorf("payload %v", old)
	}
}

func TestAClientWithoutTheScopeGetsNoAddresses(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	to := &receiver{status: 200}
	uri := r.serve(to)
	member := r.fake.FillMembers(r.campaign, 1)[0]
	for i, scopes := range []string{"w:campaigns.webhook", "w:campaigns.webhook campaigns.members[email]"} {
		token := r.fake.Portal(clientID, r.creator, strings.Fields(scopes)...).AccessToken
		body := `{"data":{"type":"webhook","attributes":{"triggers":["members:update"],"uri":"` + uri + `"},"relationships":{"campaign":{"data":{"type":"campaign","id":"` + r.campaign + `"}}}}}`
		made := r.want(r.send("POST", token, "/webhooks", body), 200).json(t)
		if err := r.fake.Emit(t.Context(), "members:update", member); err != nil {
			t.Fatal(err)
		}
		r.fake.RemoveWebhook(at(made, "data", "id").(string))
		if got := strings.Contains(to.all()[i].body, "patron1@example.com"); got != (i == 1) {
			t.Errorf("with %s: addresses %t", scopes, got)
		}
	}
}

func TestDeliveriesAreTriedAgainOnSchedule(t *testing.T) {
	r, to, h := hooked(t, "members:update", "posts:publish")
	member := r.fake.FillMembers(r.campaign, 1)[0]
	to.answer(500)
	if err := r.fake.Emit(t.Context(), "members:update", member); err == nil {
		t.Error("no error from a delivery that failed")
	}
	// While one waits, others wait behind it.
	if err := r.fake.Emit(t.Context(), "posts:publish", []byte(`{"data":null}`)); err != nil {
		t.Error(err)
	}
	const day = 24 * time.Hour
	for i, wait := range []time.Duration{time.Hour, 3 * time.Hour, day, 3 * day, 7 * day, 7 * day, 7 * day} {
		if due, ok := r.fake.NextDelivery(); !ok || !due.Equal(r.clock.Now().Add(wait)) {
			t.Errorf("attempt %d is due at %s, want in %s", i+2, due, wait)
		}
		r.clock.add(wait - time.Second)
		if err := r.fake.Deliver(t.Context()); err != nil || len(to.all()) != i+1 {
			t.Fatalf("%d attempts before time, %v", len(to.all()), err)
		}
		r.clock.add(time.Second)
		if err := r.fake.Deliver(t.Context()); err == nil || len(to.all()) != i+2 {
			t.Fatalf("%d attempts, want %d, %v", len(to.all()), i+2, err)
		}
		if got := r.hook(); got.Failures != i+2 || got.Paused != (i == 6) || got.Queued != 2 || !got.LastAttempted.Equal(r.clock.Now()) {
			t.Fatalf("after attempt %d: %v", i+2, got)
		}
	}
	r.clock.add(30 * day)
	if err := r.fake.Deliver(t.Context()); err != nil || len(to.all()) != 8 {
		t.Errorf("%d attempts, %v", len(to.all()), err)
	}
	// A client asks for what waits.
	to.answer(200)
	token := r.fake.Portal(clientID, r.creator).AccessToken
	listed := r.want(r.get(token, "/webhooks", fields("webhook")...), 200).json(t)
	if at(listed, "data", 0, "attributes", "paused") != true || at(listed, "data", 0, "attributes", "num_consecutive_times_failed") != 8. {
		t.Errorf("listed %v", listed)
	}
	r.want(r.send("PATCH", token, "/webhooks/"+h.ID, `{"data":{"type":"webhook","id":"`+h.ID+`","attributes":{"paused":false}}}`), 200)
	if err := r.fake.Deliver(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.hook(); got.Failures != 0 || got.Queued != 0 || got.Paused {
		t.Errorf("in the end: %v", got)
	}
	if got := to.events(); !strings.HasSuffix(got, " members:update posts:publish") {
		t.Errorf("events %s", got)
	}
	if s := r.fake.Stats(); s.Deliveries != 10 || s.FailedDeliveries != 8 {
		t.Errorf("stats %+v", s)
	}
}

func TestAPausedWebhookKeepsItsEvents(t *testing.T) {
	r, to, h := hooked(t, "members:update")
	member := r.fake.FillMembers(r.campaign, 1)[0]
	r.fake.PauseWebhook(h.ID)
	for range 3 {
		if err := r.fake.Emit(t.Context(), "members:update", member); err != nil {
			t.Error(err)
		}
	}
	if got := r.hook(); got.Queued != 3 || len(to.all()) != 0 {
		t.Errorf("%v, %d sent", got, len(to.all()))
	}
}

func TestEventsFromManyAtOnceAllArrive(t *testing.T) {
	r, to, _ := hooked(t, "members:update")
	member := r.fake.FillMembers(r.campaign, 1)[0]
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := r.fake.Emit(t.Context(), "members:update", member); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(to.all()); n != 20 {
		t.Errorf("%d events, want 20", n)
	}
}

func TestAWebhookDoesNotPrintItsSecret(t *testing.T) {
	_, _, h := hooked(t, "members:update")
	if text := fmt.Sprintf("%v %+v %s", h, h, h); h.Secret == "" || strings.Contains(text, h.Secret) {
		t.Errorf("printed %s", text)
	}
}

func TestAnEditThatMakesNoSenseIsRefused(t *testing.T) {
	r, _, h := hooked(t, "members:update")
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for _, tt := range []struct {
		id, body string
		status   int
	}{
		{h.ID, `{"data":{"type":"webhook","id":"` + h.ID + `","attributes":{"uri":"https://blog.example/new"}}}`, 200},
		{h.ID, `{"data":{"type":"webhook","attributes":{"paused":true}}}`, 400},
		{h.ID, `{"data":{"type":"webhook","id":"1","attributes":{"paused":true}}}`, 400},
		{h.ID, `{"data":{"type":"webhook","id":"` + h.ID + `"}}`, 400},
		{h.ID, `{"data":{"type":"webhook","id":"` + h.ID + `","attributes":{"secret":"mine"}}}`, 400},
		{h.ID, `{"data":{"type":"webhook","id":"` + h.ID + `","attributes":{},"relationships":{}}}`, 400},
		{"1", `{"data":{"type":"webhook","id":"1","attributes":{"paused":true}}}`, 404},
	} {
		r.want(r.do("PATCH", r.lax+api+"/webhooks/"+tt.id, token, "application/json", tt.body), tt.status)
	}
	if got := r.hook(); got.Paused || got.URI != "https://blog.example/new" || got.Secret != h.Secret {
		t.Errorf("in the end: %v", got)
	}
}

func TestEventsOfVersion1AreAboutPledges(t *testing.T) {
	r, to, _ := hooked(t, "pledges:update")
	member := r.fake.FillMembers(r.campaign, 1)[0]
	if err := r.fake.Emit(t.Context(), "pledges:update", member); err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(to.all()[0].body), &v); err != nil {
		t.Fatal(err)
	}
	if at(v, "data", "type") != "pledge" || at(v, "data", "relationships", "patron", "data", "id") == nil {
		t.Errorf("payload %v", v)
	}
}
