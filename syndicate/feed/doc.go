// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package feed reads the posts of a site from its feed: JSON Feed 1.0 and 1.1,
// RSS 2.0, and Atom 1.0.
//
// # Overview
//
//	f, err := feed.Parse(file, feed.Options{URL: "https://me.example/blog.json"})
//	if err != nil {
//		return err // not a feed, or not readable at all
//	}
//	for _, problem := range f.Problems {
//		fmt.Println(problem) // item 3 "https://…": no id
//	}
//	for _, post := range f.Posts {
//		…
//	}
//
// The format is told by the content; a media type or a file name would not say
// more. Nothing is fetched.
//
// # Posts
//
// What comes out passes [syndicate.Post.Validate]:
//
//	            JSON Feed              RSS                          Atom
//	ID          id                     guid, link, or a hash        id
//	URL         url, id, external_url  link, guid if a permalink    link rel=alternate
//	Title       title                  title                        title
//	Summary     summary, content_text  description                  summary
//	ContentHTML content_html           content:encoded, description content
//	Image       image, banner_image    media:*, enclosure           media:*, link rel=enclosure
//	Authors     authors, author        dc:creator, author           author
//	Tags        tags                   category                     category
//	Language    language               dc:language, language        xml:lang
//	Published   date_published         pubDate, dc:date             published
//	Updated     date_modified          dcterms:modified, atom:updated  updated
//	About       external_url           -                            link rel=related
//
// Titles and summaries are plain text in one line: tags are removed and
// entities decoded where a format allows HTML. A summary has at most 500
// code points; without one, it is the beginning of the content. Relative addresses
// are resolved, in Atom and RSS against xml:base, but not those inside of
// ContentHTML. A post is External if its address is on another host than the
// site's home page, the feed, and [Options.URL].
//
// A post keeps its identity as long as its id does. An RSS item without a guid
// is known by its link, or else by its title and date: its problem says so,
// since changing them makes another post of it. Of several items with one id
// the first counts.
//
// # The extension for JSON Feed
//
// An item may have an object that says what is different for its announcements:
//
//	"_syndicate": {
//		"text": "Read this!",               // in place of the template's text
//		"skip": false,                      // true: announce it nowhere
//		"content_warning": "Spiders",
//		"language": "en",                   // of the text
//		"visibility": "unlisted",           // public, unlisted, private or direct
//		"image_alt": "A cat on a keyboard", // describes the item's image
//		"aliases": ["https://me.example/old-address/"],
//		"networks": {                       // the first five, for one network
//			"mastodon": {"text": "Boost this!"},
//			"irc": {"skip": true}
//		}
//	}
//
// Fields that are not known are problems, since one may be a misspelt "skip",
// and an item whose object cannot be read is left out: better late than
// announced against the author's will.
//
// # Faults
//
// One bad item does not take down the others. What is left out or doubtful is
// one of [Feed.Problems], and the dates of items are forgiving: RFC 3339 with a
// blank, without seconds or zone; RFC 822 with four-digit years, full names of
// months, or without a weekday. A date that is not readable leaves the post
// without one. XML may use entities of HTML and bare ampersands; where it ends
// in the middle, the items before that are there.
//
// # Security
//
// Size, depth and number of items are limited. Entities that a document
// declares are not expanded and nothing outside of it is read, so neither
// "billion laughs" nor files of the machine come in. UTF-8, UTF-16 with a byte
// order mark, ISO-8859-1 and windows-1252 are read.
//
// ContentHTML is as it was in the feed. Who shows it has to sanitize it.
package feed
