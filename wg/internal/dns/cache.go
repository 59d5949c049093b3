// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxTTL is for how long an answer is remembered at most, and maxNegativeTTL, in
// seconds, that there is none: machines of private networks come and go.
const (
	maxTTL         = 10 * time.Minute
	maxNegativeTTL = 10
)

// maxCached is how many answers are remembered.
const maxCached = 1000

// cache has answers that are fresh. The zero value is empty.
type cache struct {
	mu      sync.Mutex
	answers map[cacheKey]cached
}

type cacheKey struct {
	name string // in lower case
	t    dnsmessage.Type
}

type cached struct {
	answer
	until time.Time
}

func keyOf(name dnsmessage.Name, t dnsmessage.Type) cacheKey {
	return cacheKey{strings.ToLower(name.String()), t}
}

func (c *cache) get(name dnsmessage.Name, t dnsmessage.Type) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers[keyOf(name, t)]
	if !ok || !time.Now().Before(a.until) {
		return answer{}, false
	}
	return a.answer, true
}

func (c *cache) put(name dnsmessage.Name, t dnsmessage.Type, a answer) {
	if a.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[cacheKey]cached{}
	}
	if len(c.answers) >= maxCached {
		c.makeRoom()
	}
	c.answers[keyOf(name, t)] = cached{a, time.Now().Add(a.ttl)}
}

// makeRoom forgets what is not fresh, and if that is nothing, the half of all.
func (c *cache) makeRoom() {
	now := time.Now()
	for key, a := range c.answers {
		if !now.Before(a.until) {
			delete(c.answers, key)
		}
	}
	for key := range c.answers {
		if len(c.answers) <= maxCached/2 {
			return
		}
		delete(c.answers, key)
	}
}
