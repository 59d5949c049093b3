// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query is what a request asks for.
type query struct {
	// fields are the attributes that are wanted, by type.
	fields map[string][]string
	// include are paths of relations.
	include [][]string
	// The rest is for lists.
	count        int // 0: not given
	cursor, sort string
}

// query reads the parameters of a request for resources of a type.
func (c *call) query(of string, list bool) (query, *answer) {
	q := query{fields: map[string][]string{}}
	if strings.ContainsAny(c.URL.RawQuery, "[]") {
		return q, c.invalidParameter("fields", "Brackets must be sent as %%5B and %%5D.")
	}
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return q, c.invalidParameter("fields", "The query cannot be read.")
	}
	for name, v := range values {
		if len(v) > 1 {
			return q, c.invalidParameter(name, "It is there more than once.")
		}
		if refusal := c.parameterOf(&q, of, list, name, v[0]); refusal != nil {
			return q, refusal
		}
	}
	return q, c.checkScopes(of, q)
}

// parameterOf reads one parameter.
func (c *call) parameterOf(q *query, of string, list bool, name, value string) *answer {
	of0, isFields := strings.CutPrefix(name, "fields[")
	switch {
	case isFields && strings.HasSuffix(of0, "]"):
		return c.fieldsOf(q, name, strings.TrimSuffix(of0, "]"), value)
	case name == "include":
		return c.includeOf(q, of, value)
	case name == "page[count]" && list:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return c.invalidParameter(name, "%q is not a number above 0.", value)
		}
		q.count = n
	case name == "page[cursor]" && list:
		if value == "" {
			return c.invalidParameter(name, "It is empty.")
		}
		q.cursor = value
	case name == "sort" && list:
		q.sort = value
		if !kinds()[of].has(strings.TrimPrefix(value, "-")) {
			return c.invalidParameter(name, "%q is not a field of type %q.", value, of)
		}
	default:
		return c.invalidParameter(name, "There is no such parameter here.")
	}
	return nil
}

func (c *call) fieldsOf(q *query, name, of, value string) *answer {
	k, ok := kinds()[of]
	if !ok {
		return c.invalidParameter(name, "%q is not a type of resources.", of)
	}
	q.fields[of] = []string{}
	if value == "" {
		return nil
	}
	for field := range strings.SplitSeq(value, ",") {
		if !k.has(field) {
			return c.invalidParameter(name, "%q is not a field of type %q.", field, of)
		}
		q.fields[of] = append(q.fields[of], field)
	}
	return nil
}

func (c *call) includeOf(q *query, of, value string) *answer {
	if value == "" {
		return nil
	}
	for path := range strings.SplitSeq(value, ",") {
		steps, at := strings.Split(path, "."), of
		for _, step := range steps {
			r, ok := kinds()[at].relations[step]
			if !ok {
				return c.invalidParameter("include", "%q is not a relation of type %q.", step, at)
			}
			at = r.kind
		}
		q.include = append(q.include, steps)
	}
	return nil
}

// checkScopes refuses what the token may not see.
func (c *call) checkScopes(of string, q query) *answer {
	seen := of == "user" || of == "member"
	for _, path := range q.include {
		at := of
		for _, step := range path {
			at = kinds()[at].relations[step].kind
			seen = seen || at == "user" || at == "member"
			if at == "address" && !c.may("campaigns.members.address") {
				return c.lacks("campaigns.members.address")
			}
			if at == "campaign" && of == "user" && !c.may("campaigns") {
				return c.lacks("campaigns")
			}
		}
	}
	if !seen {
		return nil
	}
	members := "campaigns.members[email]"
	users := members
	if of == "user" {
		users = "identity[email]"
	}
	if slices.Contains(q.fields["user"], "email") && !c.may(users) {
		return c.lacks(users)
	}
	if slices.Contains(q.fields["member"], "email") && !c.may(members) {
		return c.lacks(members)
	}
	return nil
}

// asks reports whether resources of a type may come along.
func (q query) asks(of, target string) bool {
	for _, path := range q.include {
		at := of
		for _, step := range path {
			if at = kinds()[at].relations[step].kind; at == target {
				return true
			}
		}
	}
	return false
}
