// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"strconv"
	"strings"
)

// What tor tells of in between:
// https://spec.torproject.org/control-spec/replies.html#asynchronous-events.
type (
	// descEvent is about a descriptor: where a service can be found.
	descEvent struct {
		action  string // CREATED, UPLOAD, UPLOADED, REQUESTED, RECEIVED, FAILED, …
		service string // without ".onion"
		reason  string // of FAILED
	}
	// bootstrapEvent is about the way into the network.
	bootstrapEvent struct {
		percent int
		tag     string
		summary string
		warning string // what stands in the way; empty: nothing
	}
	// livenessEvent is about whether the network can be reached.
	livenessEvent struct{ up bool }
)

// parseEvent returns one of the types above, or nil for other events.
func parseEvent(text string) any {
	kind, rest, _ := strings.Cut(text, " ")
	words := splitWords(rest)
	switch kind {
	case "HS_DESC":
		if len(words) < 2 {
			return nil
		}
		return descEvent{action: words[0], service: words[1], reason: named(words, "REASON")}
	case "STATUS_CLIENT":
		if len(words) < 2 || words[1] != "BOOTSTRAP" {
			return nil
		}
		return parseBootstrap(words)
	case "NETWORK_LIVENESS":
		return livenessEvent{up: strings.TrimSpace(rest) == "UP"}
	}
	return nil
}

// parseBootstrap reads the words of a bootstrap phase, which are the same in an
// event and in the answer to GETINFO status/bootstrap-phase.
func parseBootstrap(words []string) any {
	percent, err := strconv.Atoi(named(words, "PROGRESS"))
	if err != nil || percent < 0 || percent > 100 {
		return nil
	}
	return bootstrapEvent{
		percent: percent, tag: named(words, "TAG"), summary: named(words, "SUMMARY"), warning: named(words, "WARNING"),
	}
}

// named returns the value of a word of the form NAME=value.
func named(words []string, name string) string {
	for _, w := range words {
		if value, ok := strings.CutPrefix(w, name+"="); ok {
			return value
		}
	}
	return ""
}

// splitWords splits at blanks, but not within quotes, which it takes away.
func splitWords(s string) []string {
	var words []string
	var word strings.Builder
	inWord, inQuotes := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			inQuotes, inWord = !inQuotes, true
		case c == '\\' && inQuotes && i+1 < len(s):
			i++
			word.WriteByte(s[i])
		case c == ' ' && !inQuotes:
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
