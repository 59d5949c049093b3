// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate/internal/faulty"
)

// Config is what is different from Discord's usual ways.
type Config struct {
	// NonceWindow is for how long a nonce is remembered. If zero, five minutes.
	NonceWindow time.Duration
	// RateLimit is how many messages may be made in five seconds, by one webhook
	// or bot. If zero, any number.
	RateLimit int
	// NoHistory takes the permission to read old messages from bots: they see an
	// empty list.
	NoHistory bool
	// NoSend takes the permission to send messages from bots.
	NoSend bool
}

// Fault is a way to fail.
type Fault = faulty.Fault

// Ways to fail, for Fault's Kind. Those that end with After do what the request
// wants, and do not say so.
const (
	// CutBefore closes the connection before anything was done.
	CutBefore = faulty.CutBefore
	// CutAfter closes the connection in place of an answer.
	CutAfter = faulty.CutAfter
	// CutAnswer closes the connection in the middle of the answer.
	CutAnswer = faulty.CutAnswer
	// ErrorAfter answers 500.
	ErrorAfter = faulty.ErrorAfter
	// TimeoutAfter answers 504. The message and its nonce are there only when the
	// delay has passed.
	TimeoutAfter = faulty.TimeoutAfter
	// Slow answers when the delay has passed.
	Slow = faulty.Slow
	// RateLimited answers 429 with retry_after, and Retry-After in seconds.
	RateLimited = faulty.RateLimited
	// RateLimitedDate answers 429 with retry_after, and Retry-After as a date.
	RateLimitedDate = faulty.RateLimitedDate
	// Unavailable answers 503.
	Unavailable = faulty.Unavailable
)

// Message is one that the server took.
type Message struct {
	// ID and Channel are the snowflakes of the message and of where it is.
	ID, Channel string
	// Author is the name that readers see.
	Author string
	// Content and Embeds are as of the last edit.
	Content string
	Embeds  json.RawMessage
	// Pings are the mentions in the content for which somebody was notified,
	// such as "@everyone".
	Pings []string
	// Nonce is what a bot sent with it.
	Nonce string
	// Edits counts how often it was changed.
	Edits int
	// Deleted tells that it was taken back.
	Deleted bool
}

// webhook is one of a channel.
type webhook struct {
	id      int64
	token   string
	channel *channel
	used    usage
}

// bot is a user that is a program.
type bot struct {
	id    int64
	token string
	name  string
	used  usage
}

// channel is a place of a guild.
type channel struct{ id, guild int64 }

// usage counts messages in a time.
type usage struct {
	since time.Time
	n     int
}

// Server is a [http.Handler]. Make it with [New]. Its methods may be called by
// several goroutines at once.
type Server struct {
	config Config
	mux    *http.ServeMux
	faults faulty.Injector

	mu       sync.Mutex // guards everything below
	lastID   int64
	webhooks []*webhook
	bots     []*bot
	channels []*channel
	messages []*message
}

// New returns a server without messages.
func New(c Config) *Server {
	if c.NonceWindow == 0 {
		c.NonceWindow = 5 * time.Minute
	}
	s := &Server{config: c, mux: http.NewServeMux()}
	s.routes()
	return s
}

// Webhook makes a webhook in a channel of its own, and returns its address as
// Discord shows it.
func (s *Server) Webhook() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Tokens have characters that mean something in addresses and in patterns.
	h := &webhook{id: s.nextID(), token: rand.Text() + "-_" + rand.Text(), channel: s.newChannel()}
	s.webhooks = append(s.webhooks, h)
	return fmt.Sprintf("https://discord.com/api/webhooks/%d/%s", h.id, h.token)
}

// DeleteWebhook does what a moderator does who does not want it any more.
func (s *Server) DeleteWebhook(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhooks = slices.DeleteFunc(s.webhooks, func(h *webhook) bool { return strings.HasSuffix(address, h.token) })
}

// Bot makes a bot, and returns its token.
func (s *Server) Bot() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &bot{id: s.nextID(), token: rand.Text() + "." + rand.Text(), name: "bot" + strconv.Itoa(len(s.bots))}
	s.bots = append(s.bots, b)
	return b.token
}

// Channel makes a channel that all bots may post in, and returns its id.
func (s *Server) Channel() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return format(s.newChannel().id)
}

func (s *Server) newChannel() *channel {
	c := &channel{id: s.nextID(), guild: s.nextID()}
	s.channels = append(s.channels, c)
	return c
}

// Messages returns everything that was ever posted, the oldest first: also what
// was deleted, and what is not visible yet.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Message{}
	for _, m := range s.messages {
		all = append(all, Message{
			ID: format(m.id), Channel: format(m.channel.id), Author: m.name, Content: m.content, Embeds: encode(m.embeds),
			Pings: slices.Clone(m.pings), Nonce: m.nonce, Edits: m.edits, Deleted: m.deleted,
		})
	}
	return all
}

// Next makes the next n requests that the fault is for meet it: those that
// create a message, if it does not say.
func (s *Server) Next(n int, f Fault) { s.faults.Next(n, f) }

// Random makes a share of requests, between 0 and 1, meet one of the faults. The
// same seed chooses the same.
func (s *Server) Random(seed uint64, share float64, faults ...Fault) {
	s.faults.Random(seed, share, faults...)
}

// Met returns how many requests met each kind of fault.
func (s *Server) Met() map[faulty.Kind]int { return s.faults.Met() }

// epoch is when Discord's ids begin.
var epoch = time.UnixMilli(1420070400000)

// nextID returns a snowflake: milliseconds, and 22 bits that tell apart what is
// of the same.
func (s *Server) nextID() int64 {
	s.lastID = max(s.lastID+1, time.Since(epoch).Milliseconds()<<22)
	return s.lastID
}

func format(id int64) string { return strconv.FormatInt(id, 10) }

func encode(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded before
	}
	return raw
}
