// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/syndicate/internal/faulty"
)

// hookName is what webhooks are called that do not say.
const hookName = "Captain Hook"

type message struct {
	id            int64
	channel       *channel
	bot           *bot
	webhook       *webhook
	name          string
	content       string
	embeds        []any
	pings         []string
	nonce         string
	made, visible time.Time
	edited        time.Time
	edits         int
	deleted       bool
}

// there reports whether the message exists for those who ask now.
func (m *message) there() bool { return !m.deleted && !time.Now().Before(m.visible) }

// execute makes a message by the webhook. Without wait, what is wrong with it
// afterwards is not told.
func (q *request) execute() answer {
	wait := q.URL.Query().Get("wait")
	if !slices.Contains([]string{"", "true", "false"}, wait) {
		return form("wait", "BOOL_TYPE_CONVERT", "Must be either true or false.")
	}
	m := &message{channel: q.channel, webhook: q.webhook, name: hookName}
	if refusal := q.fill(m, "username", "avatar_url", "thread_name", "tts"); refusal != nil {
		return *refusal
	}
	if name, refusal := q.username(); refusal != nil {
		return *refusal
	} else if name != "" {
		m.name = name
	}
	if over := q.webhook.used.over(q.server.config.RateLimit); over > 0 {
		return tooMany(over)
	}
	q.add(m)
	if wait != "true" {
		return done
	}
	return ok(m.object())
}

// create makes a message by a bot.
func (q *request) create() answer {
	if q.server.config.NoSend {
		return noAccess
	}
	m := &message{channel: q.channel, bot: q.bot, name: q.bot.name}
	if refusal := q.fill(m, "nonce", "enforce_nonce", "tts"); refusal != nil {
		return *refusal
	}
	switch nonce := q.body["nonce"].(type) {
	case nil:
	case string:
		if len(nonce) > 25 {
			return form("nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer in length.")
		}
		m.nonce = nonce
	case float64:
		m.nonce = strconv.FormatFloat(nonce, 'f', 0, 64)
	default:
		return form("nonce", "NONCE_TYPE_INVALID", "Nonce is not valid.")
	}
	if before := q.byNonce(m.nonce); before != nil && q.body["enforce_nonce"] == true {
		return ok(before.withNonce())
	}
	if over := q.bot.used.over(q.server.config.RateLimit); over > 0 {
		return tooMany(over)
	}
	q.add(m)
	return ok(m.withNonce())
}

// byNonce returns the bot's message that was made with a nonce not long ago.
func (q *request) byNonce(nonce string) *message {
	for _, m := range q.server.messages {
		known := !time.Now().Before(m.visible) && time.Since(m.visible) < q.server.config.NonceWindow
		if nonce != "" && m.nonce == nonce && m.bot == q.bot && known {
			return m
		}
	}
	return nil
}

// over counts a message, and returns how long is to be waited if it is one too
// many.
func (u *usage) over(limit int) time.Duration {
	const period = 5 * time.Second
	now := time.Now()
	if now.Sub(u.since) >= period {
		u.since, u.n = now, 0
	}
	if u.n++; limit > 0 && u.n > limit {
		return period - now.Sub(u.since)
	}
	return 0
}

func (q *request) add(m *message) {
	m.id, m.made = q.server.nextID(), time.Now()
	m.visible = m.made.Add(faulty.Delay(q.Context()))
	q.server.messages = append(q.server.messages, m)
}

// message returns the one that the path names.
func (q *request) message() *message {
	for _, m := range q.server.messages {
		if format(m.id) == q.PathValue("id") && m.channel == q.channel && m.there() && (q.webhook == nil || m.webhook == q.webhook) {
			return m
		}
	}
	return nil
}

func (q *request) showMessage() answer {
	if m := q.message(); m != nil {
		return ok(m.object())
	}
	return unknownMessage
}

func (q *request) editMessage() answer {
	m := q.message()
	switch {
	case m == nil:
		return unknownMessage
	case m.bot != q.bot:
		return notOwn
	}
	after := *m
	if refusal := q.fill(&after); refusal != nil {
		return *refusal
	}
	if after.content != m.content || string(encode(after.embeds)) != string(encode(m.embeds)) {
		after.edited, after.edits = time.Now(), m.edits+1
	}
	*m = after
	return ok(m.object())
}

func (q *request) deleteMessage() answer {
	m := q.message()
	switch {
	case m == nil:
		return unknownMessage
	case m.bot != q.bot:
		return noAccess
	}
	m.deleted = true
	return done
}

// list answers with messages, the newest first: those next to the one that the
// parameters name.
func (q *request) list() answer {
	query := q.URL.Query()
	limit := 50
	if v := query.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 100 {
			return form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
		}
		limit = n
	}
	number := func(name string) int64 { n, _ := strconv.ParseInt(query.Get(name), 10, 64); return n }
	before, after, around := number("before"), number("after"), number("around")
	var found []*message
	for _, m := range q.server.messages {
		if m.channel == q.channel && m.there() && m.id > after && (before == 0 || m.id < before) && !q.server.config.NoHistory {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b *message) int { return cmp.Compare(b.id, a.id) })
	switch {
	case around > 0:
		i, _ := slices.BinarySearchFunc(found, around, func(m *message, id int64) int { return cmp.Compare(id, m.id) })
		from := max(0, min(i-limit/2, len(found)-limit))
		found = found[from:min(from+limit, len(found))]
	case after > 0 && len(found) > limit:
		found = found[len(found)-limit:]
	}
	found = found[:min(limit, len(found))]
	objects := []object{}
	for _, m := range found {
		objects = append(objects, m.object())
	}
	return ok(objects)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-07:00") }

// object is the message as it is shown. Nonces are shown only to who made it,
// when it is made.
func (m *message) object() object {
	o := object{
		"id": format(m.id), "channel_id": format(m.channel.id), "type": 0, "content": m.content, "mentions": []any{}, "mention_roles": []any{},
		"attachments": []any{}, "embeds": shown(m.embeds), "timestamp": stamp(m.made), "edited_timestamp": nil, "flags": 0, "components": []any{},
		"pinned": false, "mention_everyone": slices.ContainsFunc(m.pings, func(p string) bool { return p[0] == '@' }), "tts": false,
	}
	if !m.edited.IsZero() {
		o["edited_timestamp"] = stamp(m.edited)
	}
	if m.webhook != nil {
		o["webhook_id"], o["author"] = format(m.webhook.id), user(m.webhook.id, m.name)
	} else {
		o["author"] = m.bot.object()
	}
	return o
}

func (m *message) withNonce() object {
	o := m.object()
	if m.nonce != "" {
		o["nonce"] = m.nonce
	}
	return o
}

// shown are embeds as they are in answers: with a type, and without what is
// null.
func shown(embeds []any) []any {
	all := []any{}
	for _, e := range embeds {
		out := object{"type": "rich"}
		for name, v := range e.(object) {
			if v != nil {
				out[name] = v
			}
		}
		fields, _ := out["fields"].([]any)
		for i, f := range fields {
			field := maps.Clone(f.(object))
			field["inline"] = field["inline"] == true
			fields[i] = field
		}
		all = append(all, out)
	}
	return all
}

var mentions = regexp.MustCompile(`@everyone|@here|<@[!&]?\d+>`)

// pings returns the mentions of a content for which somebody is notified. A
// backslash before one changes only how it looks.
func pings(content string, allowed any) []string {
	rules, limited := allowed.(object)
	var all []string
	for _, mention := range mentions.FindAllString(content, -1) {
		id := strings.Trim(mention, "<@!&>")
		kind := "users"
		switch {
		case mention[0] == '@':
			kind = "everyone"
		case mention[2] == '&':
			kind = "roles"
		}
		parse, _ := rules["parse"].([]any)
		named, _ := rules[kind].([]any)
		if !limited || slices.Contains(parse, any(kind)) || slices.Contains(named, any(id)) {
			all = append(all, mention)
		}
	}
	return all
}
