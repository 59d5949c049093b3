// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// object is one of JSON.
type object = map[string]any

// answer is what is sent back.
type answer struct {
	status int
	value  any // nil is no body
	wait   time.Duration
}

func ok(v any) answer { return answer{status: http.StatusOK, value: v} }

var done = answer{status: http.StatusNoContent}

func refuse(status, code int, message string) answer {
	return answer{status: status, value: object{"code": code, "message": message}}
}

var (
	unauthorized   = refuse(http.StatusUnauthorized, 0, "401: Unauthorized")
	notFound       = refuse(http.StatusNotFound, 0, "404: Not Found")
	unknownWebhook = refuse(http.StatusNotFound, 10015, "Unknown Webhook")
	unknownChannel = refuse(http.StatusNotFound, 10003, "Unknown Channel")
	unknownMessage = refuse(http.StatusNotFound, 10008, "Unknown Message")
	wrongToken     = refuse(http.StatusUnauthorized, 50027, "Invalid Webhook Token")
	noAccess       = refuse(http.StatusForbidden, 50013, "Missing Permissions")
	notOwn         = refuse(http.StatusForbidden, 50005, "Cannot edit a message authored by another user")
	empty          = refuse(http.StatusBadRequest, 50006, "Cannot send an empty message")
	notJSON        = refuse(http.StatusBadRequest, 50109, "The request body contains invalid JSON.")
)

func (a answer) write(w http.ResponseWriter) {
	limits(w.Header(), a.wait)
	if a.value == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.value)
}

// limits says how many requests are left: enough, unless there is to be waited.
func limits(h http.Header, wait time.Duration) {
	remaining, reset := "4", time.Second
	if wait > 0 {
		remaining, reset = "0", wait
	}
	h.Set("X-RateLimit-Limit", "5")
	h.Set("X-RateLimit-Remaining", remaining)
	h.Set("X-RateLimit-Reset", fmt.Sprintf("%.3f", float64(time.Now().Add(reset).UnixMilli())/1000))
	h.Set("X-RateLimit-Reset-After", fmt.Sprintf("%.3f", reset.Seconds()))
	h.Set("X-RateLimit-Bucket", "abcd1234")
}

func tooMany(wait time.Duration) answer {
	return answer{
		status: http.StatusTooManyRequests, wait: wait,
		value: object{"code": 0, "message": "You are being rate limited.", "retry_after": wait.Seconds(), "global": false},
	}
}

// failed writes an error as Discord or the proxy in front of it does.
func failed(w http.ResponseWriter, status int, wait time.Duration) {
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("X-RateLimit-Scope", "user")
		tooMany(wait).write(w)
	case http.StatusGatewayTimeout:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		io.WriteString(w, "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n")
	default:
		refuse(status, 0, strconv.Itoa(status)+": "+http.StatusText(status)).write(w)
	}
}

// request is one of a webhook or bot that is known.
type request struct {
	*http.Request
	server  *Server
	bot     *bot     // nil is a webhook's request
	webhook *webhook // nil is a bot's request
	channel *channel
	body    object
}

func (s *Server) routes() {
	const hook, messages = "/api/v10/webhooks/{webhook}/{token}", "/api/v10/channels/{channel}/messages"
	for pattern, handle := range map[string]func(*request) answer{
		"GET " + hook:                       (*request).showWebhook,
		"POST " + hook:                      (*request).execute,
		"GET " + hook + "/messages/{id}":    (*request).showMessage,
		"PATCH " + hook + "/messages/{id}":  (*request).editMessage,
		"DELETE " + hook + "/messages/{id}": (*request).deleteMessage,
		"GET /api/v10/users/@me":            (*request).showBot,
		"GET /api/v10/channels/{channel}":   (*request).showChannel,
		"GET " + messages:                   (*request).list,
		"POST " + messages:                  (*request).create,
		"GET " + messages + "/{id}":         (*request).showMessage,
		"PATCH " + messages + "/{id}":       (*request).editMessage,
		"DELETE " + messages + "/{id}":      (*request).deleteMessage,
	} {
		creates := strings.HasPrefix(pattern, "POST")
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.faults.Serve(w, r, creates, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, handle) }, failed)
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound.write(w) })
}

// ServeHTTP implements [http.Handler].
//
// As at Discord a path may leave out the version, as addresses of webhooks do.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/webhooks/"); ok {
		r = r.Clone(r.Context())
		r.URL.Path = "/api/v10/webhooks/" + rest
	}
	s.mux.ServeHTTP(w, r)
}

// maxBody is how long a request may be.
const maxBody = 8 << 20

func (s *Server) serve(w http.ResponseWriter, r *http.Request, handle func(*request) answer) {
	q := &request{Request: r, server: s}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(http.StatusRequestEntityTooLarge, 40005, "Request entity too large").write(w)
		return
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(body, &q.body) != nil {
			notJSON.write(w)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if refusal := q.identify(); refusal != nil {
		refusal.write(w)
		return
	}
	handle(q).write(w)
}

// identify finds out who asks, and about which channel.
func (q *request) identify() *answer {
	if id := q.PathValue("webhook"); id != "" {
		return q.identifyWebhook(id)
	}
	token, isBot := strings.CutPrefix(q.Header.Get("Authorization"), "Bot ")
	for _, b := range q.server.bots {
		if isBot && b.token == token {
			q.bot = b
		}
	}
	if q.bot == nil {
		return &unauthorized
	}
	if id := q.PathValue("channel"); id != "" {
		for _, c := range q.server.channels {
			if format(c.id) == id {
				q.channel = c
			}
		}
		if q.channel == nil {
			return &unknownChannel
		}
	}
	return nil
}

func (q *request) identifyWebhook(id string) *answer {
	for _, h := range q.server.webhooks {
		if format(h.id) == id {
			q.webhook, q.channel = h, h.channel
		}
	}
	switch {
	case q.webhook == nil:
		return &unknownWebhook
	case q.webhook.token != q.PathValue("token"):
		return &wrongToken
	}
	return nil
}

func (q *request) showWebhook() answer {
	h := q.webhook
	return ok(object{
		"application_id": nil, "avatar": nil, "channel_id": format(h.channel.id), "guild_id": format(h.channel.guild),
		"id": format(h.id), "name": hookName, "type": 1, "token": h.token, "url": fmt.Sprintf("https://discord.com/api/webhooks/%d/%s", h.id, h.token),
	})
}

func (q *request) showBot() answer {
	user := q.bot.object()
	user["mfa_enabled"], user["locale"], user["verified"], user["email"] = true, "en-US", true, nil
	return ok(user)
}

func (b *bot) object() object { return user(b.id, b.name) }

// user is somebody who writes messages.
func user(id int64, name string) object {
	return object{
		"id": format(id), "username": name, "avatar": nil, "discriminator": "0000", "public_flags": 0, "flags": 0, "bot": true,
		"global_name": nil, "primary_guild": nil,
	}
}

func (q *request) showChannel() answer {
	return ok(object{"id": format(q.channel.id), "type": 0, "flags": 0, "guild_id": format(q.channel.guild), "name": "blog", "position": 0, "nsfw": false})
}
