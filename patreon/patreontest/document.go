// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// ref names a resource.
type ref struct{ kind, id string }

func (r ref) json() object { return object{"type": r.kind, "id": r.id} }

// resource is one as requests see it.
type resource struct {
	ref
	attributes object
	// one and many are its relations. A relation to one that is not there has
	// the id "".
	one  map[string]ref
	many map[string][]ref
}

// Absent as the value of an attribute leaves the attribute out, though a request
// asks for it.
const Absent absent = "absent"

type absent string

// give puts the attributes that a test has set in place of others.
func (r *resource) give(overrides map[string]any) {
	maps.Copy(r.attributes, overrides)
	maps.DeleteFunc(r.attributes, func(_ string, v any) bool { return v == Absent })
}

// renderer makes a document.
type renderer struct {
	c        *call
	q        query
	shown    map[ref][]string // the relations to show
	included []ref
	// known are those that are in the document already.
	known map[ref]bool
	// built are resources that were made for the document: many members have the
	// same campaign.
	built map[ref]resource
	// walked are the steps that were made, since relations lead in circles.
	walked map[step]bool
}

// step is a relation of a resource, and what stands behind it in a path.
type step struct {
	from ref
	path string
}

// render makes the objects of a document: the resources, and those that are to
// be included.
func (c *call) render(q query, primary []resource) (data []object, included []object) {
	r := &renderer{c: c, q: q, shown: map[ref][]string{}, known: map[ref]bool{}, built: map[ref]resource{}, walked: map[step]bool{}}
	for _, p := range primary {
		r.known[p.ref] = true
	}
	for _, path := range q.include {
		for _, p := range primary {
			r.follow(p, path)
		}
	}
	for _, p := range primary {
		data = append(data, r.object(p))
	}
	for _, name := range r.included {
		if target, ok := r.resource(name); ok {
			included = append(included, r.object(target))
		}
	}
	return data, included
}

func (r *renderer) resource(name ref) (resource, bool) {
	if found, ok := r.built[name]; ok {
		return found, true
	}
	found, ok := r.c.s.resource(name)
	if ok {
		r.built[name] = found
	}
	return found, ok
}

// follow marks what a path leads to. What was deleted is named by the relation
// and not included.
func (r *renderer) follow(from resource, path []string) {
	here := step{from.ref, strings.Join(path, ".")}
	if len(path) == 0 || r.walked[here] {
		return
	}
	r.walked[here] = true
	name := path[0]
	if !slices.Contains(r.shown[from.ref], name) {
		r.shown[from.ref] = append(r.shown[from.ref], name)
	}
	targets := r.targets(from, name)
	for _, target := range targets {
		next, ok := r.resource(target)
		if !ok {
			continue
		}
		if !r.known[target] {
			r.known[target] = true
			r.included = append(r.included, target)
		}
		r.follow(next, path[1:])
	}
}

// targets returns what a relation of a resource leads to.
func (r *renderer) targets(from resource, name string) []ref {
	if target, ok := from.one[name]; ok {
		if target.id == "" {
			return nil
		}
		return []ref{target}
	}
	targets := from.many[name]
	if name == "memberships" {
		targets = slices.DeleteFunc(slices.Clone(targets), func(m ref) bool { return !r.c.seesMembership(m) })
	}
	return targets
}

// seesMembership reports whether the user's membership is shown to this client.
func (c *call) seesMembership(m ref) bool {
	if c.may("identity.memberships") {
		return true
	}
	creator := c.s.clients[c.bearer.lineage.client].Creator
	campaign := c.s.content.campaigns[c.s.content.members[m.id].Campaign]
	return campaign != nil && creator != "" && campaign.Creator == creator
}

// object is a resource as it stands in a document.
func (r *renderer) object(from resource) object {
	attributes := object{}
	for _, name := range r.q.fields[from.kind] {
		if v, ok := from.attributes[name]; ok {
			attributes[name] = v
		}
	}
	o := object{"type": from.kind, "id": from.id, "attributes": attributes}
	if names := r.shown[from.ref]; len(names) > 0 {
		relationships := object{}
		for _, name := range names {
			relationships[name] = r.c.linkage(from, name, r.targets(from, name))
		}
		o["relationships"] = relationships
	}
	return o
}

// linkage is a relation as it stands in a document.
func (c *call) linkage(from resource, name string, targets []ref) object {
	if _, one := from.one[name]; !one {
		data := []object{}
		for _, target := range targets {
			data = append(data, target.json())
		}
		return object{"data": data}
	}
	if len(targets) == 0 {
		return object{"data": nil}
	}
	return object{"data": targets[0].json(), "links": object{"related": c.link(targets[0])}}
}

// link is the address of a resource.
func (c *call) link(r ref) string { return c.base() + r.path() }

// path is where a resource is, or for some types would be: links of real answers
// have "user" in them, though there is no such endpoint.
func (r ref) path() string {
	folder := r.kind
	switch r.kind {
	case "campaign", "member", "post", "webhook", "live":
		folder += "s"
	}
	return prefix + "/" + folder + "/" + r.id
}

// base is the address that the request came to.
func (c *call) base() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// single answers with one resource.
func (c *call) single(q query, r resource) *answer {
	data, included := c.render(q, []resource{r})
	doc := object{"data": data[0], "links": object{"self": c.link(r.ref)}}
	if len(included) > 0 {
		doc["included"] = included
	}
	return jsonAnswer(http.StatusOK, c.s.config.ContentType, doc)
}
