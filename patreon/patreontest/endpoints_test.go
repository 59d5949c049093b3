// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"xeiaso.net/site/patreon/patreontest"
)

// every are all fields of a type, as the document has them.
var every = map[string]string{
	"user":         "about,can_see_nsfw,created,email,first_name,full_name,hide_pledges,image_url,is_creator,is_email_verified,last_name,like_count,social_connections,thumb_url,url,vanity",
	"campaign":     "created_at,creation_name,currency,discord_server_id,google_analytics_id,image_url,image_small_url,is_charged_immediately,is_monthly,is_nsfw,has_rss,has_sent_rss_notify,main_video_embed,main_video_url,name,one_liner,pay_per_name,patron_count,pledge_url,published_at,rss_artwork_url,rss_feed_title,show_earnings,summary,thanks_embed,thanks_msg,thanks_video_url,url,vanity",
	"member":       "campaign_lifetime_support_cents,currently_entitled_amount_cents,email,full_name,is_follower,is_free_trial,is_gifted,last_charge_date,last_charge_status,lifetime_support_cents,next_charge_date,note,patron_status,pledge_cadence,pledge_relationship_start,will_pay_amount_cents",
	"tier":         "amount_cents,created_at,description,discord_role_ids,edited_at,image_url,patron_count,post_count,published,published_at,remaining,requires_shipping,title,unpublished_at,url,user_limit",
	"pledge-event": "amount_cents,currency_code,date,pledge_payment_status,payment_status,tier_id,tier_title,type",
	"address":      "addressee,city,country,created_at,line_1,line_2,phone_number,postal_code,state",
	"post":         "app_id,app_status,content,embed_data,embed_url,is_paid,is_public,published_at,tiers,title,url",
	"webhook":      "last_attempted_at,num_consecutive_times_failed,paused,secret,triggers,uri",
	"client":       "author_name,category,default_scopes,description,domain,icon_url,name,privacy_policy_url,redirect_uris,tos_url,version",
	"live":         "description,rtmp_url,scheduled_for,state,stream_key,title",
}

func fields(types ...string) []string {
	var parameters []string
	for _, of := range types {
		parameters = append(parameters, "fields["+of+"]", every[of])
	}
	return parameters
}

// The checks of the document are in the rig.
func TestEveryEndpointAnswersAsTheDocumentSays(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	members := r.fake.FillMembers(r.campaign, 30)
	r.fake.UpdateMember(members[0], func(m *patreontest.Member) { m.Address = map[string]any{"city": "Elsewhere"} })
	post := r.fake.AddPost(patreontest.Post{Campaign: r.campaign, Title: "Hello", Content: "<p>x</p>"})
	mine := r.fake.AddCampaign(patreontest.Campaign{Creator: r.fake.AddUser(patreontest.User{})})
	r.fake.AddMember(patreontest.Member{Campaign: mine, User: r.creator, Status: "active_patron"})
	pair := r.fake.Portal(clientID, r.creator)
	hook := r.fake.AddWebhook(patreontest.Hook{Client: clientID, Campaign: r.campaign, URI: "https://blog.example/hook", Triggers: patreontest.Triggers()})

	member := append(fields("member", "user", "campaign", "tier", "pledge-event", "address"), "include", "user,campaign,currently_entitled_tiers,pledge_history,address")
	campaign := append(fields("campaign", "user", "tier"), "include", "benefits,creator,goals,live_access_rules,tiers")
	posts := append(fields("post", "user", "campaign"), "include", "user,campaign")
	for _, tt := range []struct {
		path       string
		parameters []string
		included   int // at least
	}{
		{"/identity", append(fields("user", "member", "campaign"), "include", "memberships,campaign"), 2},
		{"/campaigns", campaign, 4},
		{"/campaigns/" + r.campaign, campaign, 4},
		{"/campaigns/" + r.campaign + "/members", member, 60},
		{"/members/" + members[0], member, 5},
		{"/campaigns/" + r.campaign + "/posts", posts, 2},
		{"/posts/" + post, posts, 2},
		{"/webhooks", append(fields("webhook", "campaign", "client"), "include", "campaign,client"), 2},
	} {
		full := r.want(r.get(pair.AccessToken, tt.path, tt.parameters...), 200).json(t)
		if included, _ := full["included"].([]any); len(included) < tt.included {
			t.Errorf("%s: %d included, want %d at least", tt.path, len(included), tt.included)
		}
		bare := r.want(r.get(pair.AccessToken, tt.path), 200)
		if kind := bare.header.Get("Content-Type"); kind != "application/vnd.api+json" {
			t.Errorf("%s: content type %q", tt.path, kind)
		}
		if bare.header.Get("X-Patreon-Uuid") == "" {
			t.Errorf("%s: no x-patreon-uuid", tt.path)
		}
		first := at(bare.json(t), "data")
		if list, ok := first.([]any); ok {
			first = list[0]
		}
		if a, _ := at(first, "attributes").(map[string]any); len(a) > 0 || at(first, "relationships") != nil {
			t.Errorf("%s: what nobody asked for: %v", tt.path, first)
		}
		r.want(r.get("", tt.path), 401)
		r.want(r.do("GET", r.lax+api+tt.path+"?fields%5Bmember%5D=nothing", pair.AccessToken, "", ""), 400)
		r.want(r.do("PUT", r.bare+api+tt.path, pair.AccessToken, "", ""), 405)
	}
	for _, missing := range []string{"/campaigns/1", "/campaigns/1/members", "/members/1", "/campaigns/1/posts", "/posts/1", "/lives/1"} {
		r.want(r.get(pair.AccessToken, missing), 404)
	}
	r.want(r.do("GET", r.bare+api+"/nothing", pair.AccessToken, "", ""), 404)
	r.want(r.do("GET", r.bare+api+"/campaigns/", pair.AccessToken, "", ""), 404)
	r.want(r.send("DELETE", pair.AccessToken, "/webhooks/"+hook.ID, ""), 204)
}

func TestLivesComeAndGo(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	made := r.want(r.send("POST", token, "/lives", `{"data":{"type":"live","attributes":{"state":"scheduled","title":"x","scheduled_for":"2026-02-03T04:05:06Z"}}}`), 200).json(t)
	id := at(made, "data", "id").(string)
	r.want(r.send("PATCH", token, "/lives/"+id, `{"data":{"type":"live","id":"`+id+`","attributes":{"state":"live"}}}`), 200)
	shown := r.want(r.get(token, "/lives/"+id, append(fields("live", "campaign"), "include", "campaign,live_access_rules")...), 200).json(t)
	if state := at(shown, "data", "attributes", "state"); state != "live" {
		t.Errorf("state %v", state)
	}
	r.want(r.send("DELETE", token, "/lives/"+id, ""), 204)
	r.want(r.get(token, "/lives/"+id), 404)
}

func TestEachScopeIsNeeded(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	members := r.fake.FillMembers(r.campaign, 2)
	post := r.fake.AddPost(patreontest.Post{Campaign: r.campaign})
	for _, tt := range []struct {
		path  string
		with  string // what is asked for, pairs separated by blanks
		needs string
	}{
		{"/identity", "", "identity"},
		{"/identity", "fields[user] email", "identity identity[email]"},
		{"/identity", "include campaign", "identity campaigns"},
		{"/campaigns", "", "campaigns"},
		{"/campaigns/" + r.campaign, "", "campaigns"},
		{"/campaigns/" + r.campaign + "/members", "", "campaigns.members"},
		{"/campaigns/" + r.campaign + "/members", "fields[member] full_name,email", "campaigns.members campaigns.members[email]"},
		{"/campaigns/" + r.campaign + "/members", "include user fields[user] email", "campaigns.members campaigns.members[email]"},
		{"/members/" + members[0], "include address", "campaigns.members campaigns.members.address"},
		{"/campaigns/" + r.campaign + "/posts", "", "campaigns.posts"},
		{"/posts/" + post, "", "campaigns.posts"},
		{"/webhooks", "", "w:campaigns.webhook"},
		{"/lives/1", "", "campaigns.lives"},
	} {
		needs := strings.Fields(tt.needs)
		enough := r.fake.Portal(clientID, r.creator, needs...).AccessToken
		if a := r.get(enough, tt.path, strings.Fields(tt.with)...); a.status != 200 && tt.path != "/lives/1" {
			t.Errorf("%s %s with %v: %d %s", tt.path, tt.with, needs, a.status, a.body)
		}
		for _, missing := range needs {
			others := slices.DeleteFunc(patreontest.AllScopes(), func(s string) bool { return s == missing })
			token := r.fake.Portal(clientID, r.creator, others...).AccessToken
			if a := r.get(token, tt.path, strings.Fields(tt.with)...); a.status != 403 || !strings.Contains(a.body, missing) {
				t.Errorf("%s %s without %s: %d %s", tt.path, tt.with, missing, a.status, a.body)
			}
		}
	}
}

func TestOtherCreatorsKeepTheirMembersToThemselves(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	members := r.fake.FillMembers(r.campaign, 1)
	stranger := r.fake.Portal(clientID, r.fake.AddUser(patreontest.User{})).AccessToken
	for _, path := range []string{"/campaigns/" + r.campaign, "/campaigns/" + r.campaign + "/members", "/members/" + members[0], "/campaigns/" + r.campaign + "/posts"} {
		r.want(r.get(stranger, path), 403)
	}
	list := r.want(r.get(stranger, "/campaigns"), 200).json(t)
	if n := len(list["data"].([]any)); n != 0 {
		t.Errorf("%d campaigns", n)
	}
}

func TestMembershipsElsewhereNeedAScope(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.AddClient(patreontest.Client{ID: clientID, Secret: secret, Creator: r.creator})
	other := r.fake.AddCampaign(patreontest.Campaign{Creator: r.fake.AddUser(patreontest.User{})})
	patron := r.fake.AddUser(patreontest.User{FullName: "Tansy"})
	here := r.fake.AddMember(patreontest.Member{Campaign: r.campaign, User: patron})
	there := r.fake.AddMember(patreontest.Member{Campaign: other, User: patron})
	for _, tt := range []struct {
		scopes []string
		want   []string
	}{
		{[]string{"identity"}, []string{here}},
		{[]string{"identity", "identity.memberships"}, []string{here, there}},
	} {
		token := r.fake.Portal(clientID, patron, tt.scopes...).AccessToken
		doc := r.want(r.get(token, "/identity", "include", "memberships"), 200).json(t)
		if got := ids(at(doc, "data", "relationships", "memberships", "data")); !slices.Equal(got, tt.want) {
			t.Errorf("with %v: memberships %v, want %v", tt.scopes, got, tt.want)
		}
	}
}

func TestWhatNobodyKnowsIsRefusedByName(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	members := r.lax + api + "/campaigns/" + r.campaign + "/members"
	for _, tt := range []struct{ query, parameter string }{
		{"fields%5Bmember%5D=full_name,patronstatus", "fields[member]"},
		{"fields%5Bmembers%5D=full_name", "fields[members]"},
		{"fields[member]=full_name", "fields"},
		{"fields%5Bmember]=full_name", "fields"},
		{"include=users", "include"},
		{"include=user.nothing", "include"},
		{"page%5Bcount%5D=0", "page[count]"},
		{"page%5Bcount%5D=many", "page[count]"},
		{"page%5Bcursor%5D=", "page[cursor]"},
		{"page%5Bcursor%5D=01" + strings.Repeat("0", 40), "page[cursor]"},
		{"page%5Bsize%5D=1", "page[size]"},
		{"sort=name", "sort"},
		{"cursor=1", "cursor"},
		{"include=user&include=tiers", "include"},
		{"json-api-use-default-includes=false", "json-api-use-default-includes"},
	} {
		doc := r.want(r.do("GET", members+"?"+tt.query, token, "", ""), 400).json(t)
		if got := at(doc, "errors", 0, "source", "parameter"); got != tt.parameter {
			t.Errorf("%s: parameter %v, want %s", tt.query, got, tt.parameter)
		}
	}
	if n := r.fake.Stats().BadRequests; n != 15 {
		t.Errorf("%d bad requests counted, want 15", n)
	}
}

func TestWithoutAUserAgentThereIsAChallenge(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for _, agent := range []string{"", "Go-http-client/1.1", "Go-http-client/2.0"} {
		r.agent = agent
		a := r.want(r.do("GET", r.bare+api+"/identity", token, "", ""), 403)
		if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
			t.Errorf("agent %q: content type %q", agent, kind)
		}
	}
	if s := r.fake.Stats(); s.WithoutUserAgent != 1 || s.DefaultUserAgent != 2 {
		t.Errorf("counted %d without and %d with Go's", s.WithoutUserAgent, s.DefaultUserAgent)
	}
}

func TestADeletedUserIsNamedAndNotIncluded(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	members := r.fake.FillMembers(r.campaign, 2)
	users := r.fake.Members(r.campaign)
	r.fake.DeleteUser(users[0].User)
	token := r.fake.Portal(clientID, r.creator).AccessToken
	doc := r.want(r.get(token, "/campaigns/"+r.campaign+"/members", "include", "user"), 200).json(t)
	if got := ids(doc["data"]); !slices.Equal(got, members) {
		t.Errorf("members %v, want %v", got, members)
	}
	if got := at(doc, "data", 0, "relationships", "user", "data", "id"); got != users[0].User {
		t.Errorf("the deleted user is %v in the relationship", got)
	}
	if got := ids(doc["included"]); !slices.Equal(got, []string{users[1].User}) {
		t.Errorf("included %v", got)
	}
}

func TestAttributesCanBeNullAbsentOrOdd(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.AddMember(patreontest.Member{Campaign: r.campaign, User: r.creator, Attributes: map[string]any{
		"full_name": nil, "note": patreontest.Absent, "patron_status": "something_new",
	}})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	doc := r.want(r.do("GET", r.bare+api+"/campaigns/"+r.campaign+"/members"+encode([]string{"fields[member]", "full_name,note,patron_status"}), token, "", ""), 200).json(t)
	if got := fmt.Sprint(at(doc, "data", 0, "attributes")); got != "map[full_name:<nil> patron_status:something_new]" {
		t.Errorf("attributes %s", got)
	}
}

func TestPathsOfSeveralRelationsLeadOn(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	tier := r.fake.AddTier(patreontest.Tier{Campaign: r.campaign, Title: "Tree", AmountCents: 1000})
	patron := r.fake.AddUser(patreontest.User{})
	r.fake.AddMember(patreontest.Member{Campaign: r.campaign, User: patron, Tiers: []string{tier}})
	token := r.fake.Portal(clientID, patron).AccessToken
	doc := r.want(r.do("GET", r.bare+api+"/identity"+encode([]string{"include", "memberships.currently_entitled_tiers", "fields[tier]", "title"}), token, "", ""), 200)
	for _, want := range []string{`"title":"Tree"`, `"currently_entitled_tiers":{"data":[{"id":"` + tier, `"memberships":{"data":[{"id":"`} {
		if !strings.Contains(doc.body, want) {
			t.Errorf("no %s in %s", want, doc.body)
		}
	}
}

func TestListsCanBeSorted(t *testing.T) {
	r := newRig(t, patreontest.Config{PageSize: 2})
	var members []string
	for _, cents := range []int{500, 10000, 300} {
		members = append(members, r.fake.AddMember(patreontest.Member{Campaign: r.campaign, User: r.creator, AmountCents: cents}))
	}
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for sort, want := range map[string][]string{
		"currently_entitled_amount_cents":  {members[2], members[0], members[1]},
		"-currently_entitled_amount_cents": {members[1], members[0], members[2]},
	} {
		var got []string
		parameters := []string{"sort", sort}
		for range 2 {
			doc := r.want(r.get(token, "/campaigns/"+r.campaign+"/members", parameters...), 200).json(t)
			got = append(got, ids(doc["data"])...)
			next, _ := at(doc, "meta", "pagination", "cursors", "next").(string)
			parameters = []string{"sort", sort, "page[cursor]", next}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", sort, got, want)
		}
	}
}

func TestWhatIsDeletedIsGoneFromLists(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	tier := r.fake.AddTier(patreontest.Tier{Campaign: r.campaign})
	member := r.fake.FillMembers(r.campaign, 1)[0]
	post := r.fake.AddPost(patreontest.Post{Campaign: r.campaign})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	r.fake.DeleteTier(tier)
	r.fake.DeletePost(post)
	doc := r.want(r.get(token, "/members/"+member, "include", "currently_entitled_tiers"), 200).json(t)
	if got := ids(at(doc, "data", "relationships", "currently_entitled_tiers", "data")); !slices.Equal(got, []string{tier}) || doc["included"] != nil {
		t.Errorf("document %v, want the tier named and not included", doc)
	}
	if got := r.want(r.get(token, "/campaigns/"+r.campaign+"/posts"), 200).json(t); len(got["data"].([]any)) != 0 {
		t.Errorf("posts %v", got)
	}
	r.want(r.get(token, "/posts/"+post), 404)
	r.fake.DeleteMember(member)
	r.want(r.get(token, "/members/"+member), 404)
}

func TestAnswersAreJSONOrNothing(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for accept, status := range map[string]int{
		"": 200, "*/*": 200, "application/*;q=0.5": 200, "text/html, Application/JSON": 200, "application/vnd.api+json": 200,
		"text/html": 406, "application/xml, text/*": 406,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+api+"/identity", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"User-Agent": {r.agent}, "Authorization": {"Bearer " + token}, "Accept": {accept}}
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("Accept %q: status %d, want %d", accept, resp.StatusCode, status)
		}
	}
}

func TestAnAttributeWithoutAFormInJSONIsTold(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.AddUser(patreontest.User{ID: r.creator, Attributes: map[string]any{"about": make(chan int)}})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	if a := r.want(r.get(token, "/identity", "fields[user]", "about"), 500); !strings.Contains(a.body, "chan int") {
		t.Errorf("answer %s", a.body)
	}
}
