// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Query is what to ask for. Patreon answers nothing by itself, not even a name:
// each attribute and each related resource has to be asked for.
//
// The zero value asks for what most programs need and most tokens may see: all
// attributes but personal ones, and for
//
//	Identity   nothing else
//	Campaigns  tiers
//	Members    currently_entitled_tiers, user
//	Posts      nothing else
//	Webhooks   campaign, of which only the id
type Query struct {
	// Fields are the attributes to ask for, by type. A type that is not in it has
	// those of its function, such as [MemberFields]; one with an empty list has
	// none.
	Fields Fields

	// Include are relationships whose resources are to be in the answer, too, by
	// name, with dots where they go on: "memberships.currently_entitled_tiers". If
	// nil, they are those above; if empty, there are none.
	Include []string

	// Sort is the name of what a list is sorted by, with "-" before it for the
	// other direction. If empty, Patreon decides.
	Sort string

	// PageSize is how many resources to ask for at a time. If 0, it is the most
	// that Patreon gives of members, 1,000, or 500 with their pledge history; and
	// Patreon's own choice for other lists. One resource alone has no pages.
	PageSize int
}

// Fields are names of attributes by type of resource.
type Fields map[Type][]string

// selection is what a call asks for by itself.
type selection struct {
	root    Type
	include []string
	// fields are of types for which it is not all that [fieldsOfType] has.
	fields Fields
	list   bool
}

// values makes the parameters of a request.
func (s selection) values(q Query) (url.Values, []askedFor, error) {
	include := q.Include
	if include == nil {
		include = s.include
	}
	asked, types := related(s.root, include)
	fields := Fields{s.root: fieldsOfType(s.root)}
	for _, t := range types {
		fields[t] = fieldsOfType(t)
	}
	maps.Copy(fields, s.fields)
	maps.Copy(fields, q.Fields)
	values := url.Values{}
	for t, names := range fields {
		if err := cmp.Or(checkName("fields", string(t)), checkNames("fields", names)); err != nil {
			return nil, nil, err
		}
		if len(names) > 0 {
			values.Set("fields["+string(t)+"]", strings.Join(names, ","))
		}
	}
	if err := checkNames("include", include); err != nil {
		return nil, nil, err
	}
	if len(include) > 0 {
		values.Set("include", strings.Join(include, ","))
	}
	return values, asked, s.page(q, include, values)
}

// page adds the parameters of lists.
func (s selection) page(q Query, include []string, values url.Values) error {
	if !s.list {
		return nil
	}
	if q.Sort != "" {
		if err := checkName("sort", q.Sort); err != nil {
			return err
		}
		values.Set("sort", q.Sort)
	}
	size := q.PageSize
	if size < 0 {
		return fmt.Errorf("patreon: the page size %d is negative", size)
	}
	if size == 0 && s.root == TypeMember {
		size = 1000
		if slices.ContainsFunc(include, func(path string) bool { return strings.HasPrefix(path, "pledge_history") }) {
			size = 500
		}
	}
	if size > 0 {
		values.Set("page[count]", strconv.Itoa(size))
	}
	return nil
}

func checkNames(parameter string, names []string) error {
	for _, name := range names {
		if err := checkName(parameter, name); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses what would be another parameter, or two names.
func checkName(parameter, name string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return r == ',' || r == '[' || r == ']' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if name == "" || strange {
		return fmt.Errorf("patreon: Query: %s: %q is not a name", parameter, name)
	}
	return nil
}

// related follows paths from a type. It returns the relationships on the way, and
// the types they lead to. What is not known is Patreon's to judge.
func related(root Type, paths []string) (asked []askedFor, types []Type) {
	for _, path := range paths {
		at := root
		for name := range strings.SplitSeq(path, ".") {
			asked = append(asked, askedFor{at, name})
			if at = leadsTo(at, name); at == "" {
				break
			}
			types = append(types, at)
		}
	}
	return asked, types
}

// leadsTo returns the type that a relationship leads to, or "".
func leadsTo(from Type, name string) Type {
	switch from {
	case TypeUser:
		return map[string]Type{"campaign": TypeCampaign, "memberships": TypeMember}[name]
	case TypeCampaign:
		return map[string]Type{"benefits": TypeBenefit, "creator": TypeUser, "goals": TypeGoal, "tiers": TypeTier}[name]
	case TypeMember:
		return map[string]Type{
			"address": TypeAddress, "campaign": TypeCampaign, "currently_entitled_tiers": TypeTier,
			"pledge_history": TypePledgeEvent, "user": TypeUser,
		}[name]
	case TypePost:
		return map[string]Type{"campaign": TypeCampaign, "user": TypeUser}[name]
	case TypeWebhook:
		return map[string]Type{"campaign": TypeCampaign, "client": TypeClient}[name]
	}
	return ""
}

// fieldsOfType returns what is asked for of a type where nothing else is said.
func fieldsOfType(t Type) []string {
	switch t {
	case TypeAddress:
		return AddressFields() // asking for the relationship is asking for them
	case TypeBenefit:
		return BenefitFields()
	case TypeCampaign:
		return CampaignFields()
	case TypeClient:
		return OAuthClientFields()
	case TypeDeliverable:
		return DeliverableFields()
	case TypeMedia:
		return MediaFields()
	case TypeMember:
		return MemberFields()
	case TypePledgeEvent:
		return PledgeEventFields()
	case TypePost:
		return PostFields()
	case TypeTier:
		return TierFields()
	case TypeUser:
		return UserFields()
	case TypeWebhook:
		return WebhookFields()
	}
	return nil
}
