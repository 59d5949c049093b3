// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package markdown turns a directory of Markdown into a blog: pages, feeds,
// tags, a stylesheet and a sitemap, and nothing that needs JavaScript or a
// request to another server.
//
// # Overview
//
// [Generator.Build] reads a source directory and writes a finished site:
//
//	g := &markdown.Generator{BaseURL: "https://blog.example/", Title: "Example"}
//	if err := g.Build(ctx, "checkout", "checkout/_site"); err != nil {
//		return err // names every faulty file with line and remedy
//	}
//
// The same input gives the same bytes, on every machine and at every time;
// [Generator.Now] only decides which posts are due. All documents are read
// before the first byte is written, so a mistake in one of them leaves the
// output directory as it was.
//
// A directory that holds no Markdown, or none but a README beside an
// index.html, is not a blog: it is copied as it is, and nothing is added.
//
// # Documents
//
// Files that end in .md or .markdown become pages with an address of their own:
//
//	index.md                      /              above the list of posts
//	README.md                     /              if there is no index.md or index.html
//	about.md                      /about/
//	docs/index.md                 /docs/         also docs/_index.md, docs/README.md
//	posts/2026-03-01-hello.md     /posts/hello/
//	posts/2026/hello.md           /posts/2026/hello/
//	posts/hello/index.md          /posts/hello/  with its pictures beside it
//	404.md                        /404.html
//
// Documents below posts, _posts and blog are posts. A post needs a date, from
// its front matter or from the start of its file or directory name, and a
// document beside the index.md of a post's directory is a plain page. The
// other posts are listed on the home page, in the archive of their directory,
// by tag and in the feeds, newest first.
//
// Links between documents are written as they work in an editor or on a
// forge, [About](../about.md#top), and come out as addresses; pictures beside
// a document keep working. A link that leads nowhere is reported to
// [Generator.Warnf].
//
// # Front matter
//
// A document may begin with YAML between lines of --- or TOML between lines
// of +++. All fields are optional:
//
//	title         first heading of level 1, else the file name
//	date          2026-03-01, 2026-03-01 18:00, RFC 3339 and similar
//	updated       date of the last change; also lastmod
//	slug          last part of the address; url gives the whole of it
//	description   one sentence for lists and feeds; also summary
//	tags          list, or words separated by commas
//	draft         true keeps the document out of the site
//	author        if it is not the author of the site
//	language      if it is not the language of the site; also lang
//	image         picture for previews, relative or absolute; image_alt describes it
//	aliases       former addresses, written to _redirects; also redirect_from
//	link          address that the post is about
//	id            identifier in the feeds if the address must not be it
//
// Fields that are not listed are left alone, so documents written for another
// generator can be used as they are.
//
// # Settings
//
// The file site.yaml describes the site, and what it says goes before the
// fields of [Generator], except for the address:
//
//	title: Example
//	description: Notes on things that work
//	author: {name: Jo Example, url: https://jo.example/, email: jo@example.org}
//	language: en
//	timezone: Europe/Berlin        # of dates without one; UTC if missing
//	url: https://blog.example/     # only if Generator.BaseURL is empty
//	image: cover.jpg               # for previews of pages without their own
//	nav:                           # if missing: the documents beside index.md
//	  - {title: Posts, url: /posts/}
//	  - about.md
//	links:                         # rel="me" links at the foot of each page
//	  - {title: Mastodon, url: https://social.example/@jo}
//	footer: Text is CC BY 4.0.     # Markdown
//	home_posts: 20                 # on the home page
//	feed_items: 20                 # in each feed
//	exclude: [notes, "*.psd"]      # neither rendered nor copied
//
// # Other files
//
// Everything else is copied byte for byte, and a file of the author's goes
// before a generated one of the same name: index.html, 404.html, robots.txt,
// sitemap.xml, blog.json and so on. Left out are site.yaml, names that begin
// with a dot (but not .well-known), node_modules, _site and the output
// directory itself. Redirects from aliases are appended to _redirects. A
// style.css or favicon in the top directory is linked from every page, the
// style sheet after the built-in one.
//
// # Security
//
// Raw HTML in documents is passed through: the author of the repository owns
// the site. Symbolic links are followed inside the source directory; one that
// leaves it is an error, so that a repository cannot publish files of the
// machine that builds it. Nothing is fetched and nothing is executed.
//
// # Limits
//
// There are no themes, no shortcodes and no plug-ins; who needs them wants a
// generator such as Hugo, Zola or Lume. The words around the content are English.
package markdown
