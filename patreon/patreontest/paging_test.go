// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xeiaso.net/site/patreon/patreontest"
)

// pages follows the cursors of the campaign's members, as long as there are any,
// and returns the ids on each page.
func (r *rig) pages(token string, most int, parameters ...string) [][]string {
	r.t.Helper()
	var all [][]string
	for cursor := ""; len(all) < most; {
		with := slices.Clone(parameters)
		if cursor != "" {
			with = append(with, "page[cursor]", cursor)
		}
		doc := r.want(r.do("GET", r.lax+api+"/campaigns/"+r.campaign+"/members"+encode(with), token, "", ""), 200).json(r.t)
		all = append(all, ids(doc["data"]))
		cursor, _ = at(doc, "meta", "pagination", "cursors", "next").(string)
		if link, ok := at(doc, "links", "next").(string); ok && cursor == "" {
			target, err := url.Parse(link)
			if err != nil {
				r.t.Fatal(err)
			}
			cursor = target.Query().Get("page[cursor]")
		}
		if cursor == "" {
			return all
		}
	}
	return all
}

func sizes(pages [][]string) string {
	var n []int
	for _, page := range pages {
		n = append(n, len(page))
	}
	return fmt.Sprint(n)
}

func TestPagesHaveTheSizesThatAreDocumented(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	members := r.fake.FillMembers(r.campaign, 2100)
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for _, tt := range []struct {
		parameters []string
		want       string
	}{
		{nil, "[1000 1000 100]"},
		{[]string{"page[count]", "5000"}, "[1000 1000 100]"},
		{[]string{"page[count]", "700"}, "[700 700 700]"},
		{[]string{"include", "pledge_history"}, "[500 500 500 500 100]"},
		{[]string{"include", "user,pledge_history", "page[count]", "1000"}, "[500 500 500 500 100]"},
	} {
		pages := r.pages(token, 10, tt.parameters...)
		if got := sizes(pages); got != tt.want {
			t.Errorf("%v: pages of %s, want %s", tt.parameters, got, tt.want)
		}
		if !slices.Equal(slices.Concat(pages...), members) {
			t.Errorf("%v: not every member once", tt.parameters)
		}
	}
}

func TestCursorsBelongToOneList(t *testing.T) {
	r := newRig(t, patreontest.Config{PageSize: 1})
	r.fake.FillMembers(r.campaign, 3)
	r.fake.AddPost(patreontest.Post{Campaign: r.campaign})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	doc := r.want(r.get(token, "/campaigns/"+r.campaign+"/members"), 200).json(t)
	next := at(doc, "meta", "pagination", "cursors", "next").(string)
	r.want(r.get(token, "/campaigns/"+r.campaign+"/posts", "page[cursor]", next), 400)
	r.want(r.get(token, "/campaigns/"+r.campaign+"/members", "page[cursor]", next, "sort", "full_name"), 400)
	r.want(r.get(token, "/campaigns/"+r.campaign+"/members", "page[cursor]", next), 200)
}

func TestPagingHasTheQuirksThatItIsTold(t *testing.T) {
	for _, tt := range []struct {
		name, pages string
		paging      patreontest.Paging
		last        string // of the meta of the last page
	}{
		{"none", "[2 2 1]", patreontest.Paging{}, `{"pagination":{"cursors":{"next":null},"total":5}}`},
		{"absent", "[2 2 1]", patreontest.Paging{End: patreontest.EndAbsent}, `{"pagination":{"cursors":{},"total":5}}`},
		{"empty", "[2 2 1]", patreontest.Paging{End: patreontest.EndEmpty}, `{"pagination":{"cursors":{"next":""},"total":5}}`},
		{"bare", "[2 2 1]", patreontest.Paging{End: patreontest.EndBare}, `{"pagination":{"total":5}}`},
		{"loop", "[2 2 1 1 1 1]", patreontest.Paging{LoopAtEnd: true}, ""},
		{"empty page", "[2 2 1 0]", patreontest.Paging{EmptyLast: true}, `{"pagination":{"cursors":{"next":null},"total":5}}`},
		{"links", "[2 2 1]", patreontest.Paging{LinksNext: true}, `{"pagination":{"cursors":{"next":null},"total":5}}`},
		{"links only", "[2 2 1]", patreontest.Paging{LinksNextOnly: true}, `{"pagination":{"total":5}}`},
		{"overlap", "[2 2 2 2]", patreontest.Paging{Overlap: 1}, ""},
		{"more overlap than a page", "[2 2 2 2]", patreontest.Paging{Overlap: 7}, ""},
		{"wrong total", "[2 2 1]", patreontest.Paging{Total: func(n int) any { return n * 2 }}, `{"pagination":{"cursors":{"next":null},"total":10}}`},
		{"no total", "[2 2 1]", patreontest.Paging{Total: func(int) any { return nil }}, `{"pagination":{"cursors":{"next":null}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, patreontest.Config{PageSize: 2})
			members := r.fake.FillMembers(r.campaign, 5)
			token := r.fake.Portal(clientID, r.creator).AccessToken
			r.fake.SetPaging(tt.paging)
			// Neither links nor their absence are in the document.
			r.lax = r.bare
			pages := r.pages(token, 6)
			if got := sizes(pages); got != tt.pages {
				t.Errorf("pages of %s, want %s", got, tt.pages)
			}
			seen := slices.Concat(pages...)
			slices.Sort(seen)
			if got := slices.Compact(seen); !slices.Equal(got, slices.Sorted(slices.Values(members))) {
				t.Errorf("saw %v, want %v", got, members)
			}
			requests := r.fake.Requests()
			last := requests[len(requests)-1]
			if tt.last == "" {
				return
			}
			if a := r.do("GET", r.bare+last.Path+"?"+last.Query, token, "", ""); !strings.Contains(a.body, `"meta":`+tt.last) {
				t.Errorf("last page %s, want %s", a.body, tt.last)
			}
		})
	}
}

func TestMembersComeAndGoBetweenPages(t *testing.T) {
	r := newRig(t, patreontest.Config{PageSize: 2})
	members := r.fake.FillMembers(r.campaign, 5)
	token := r.fake.Portal(clientID, r.creator).AccessToken
	var added []string
	r.fake.SetPaging(patreontest.Paging{BeforePage: func(page int) {
		if page == 2 {
			r.fake.DeleteMember(members[0])
			added = r.fake.FillMembers(r.campaign, 2)
		}
	}})
	want := [][]string{members[:2], members[2:4], {members[4], "?"}, {"?"}}
	got := r.pages(token, 10)
	want[2][1], want[3][0] = added[0], added[1]
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages %v, want %v", got, want)
	}
}
