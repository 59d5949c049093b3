// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"mime"
	"path"
	"strings"
	"unicode/utf8"
)

// types maps extensions to content types. The operating system's tables
// differ between images, and a feed with another type is a broken feed, so
// they are never asked.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".xhtml": "application/xhtml+xml; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".cjs": "text/javascript; charset=utf-8",
	".txt": "text/plain; charset=utf-8", ".text": "text/plain; charset=utf-8",
	".log": "text/plain; charset=utf-8", ".asc": "text/plain; charset=utf-8",
	".md": "text/markdown; charset=utf-8", ".markdown": "text/markdown; charset=utf-8",
	".csv": "text/csv; charset=utf-8", ".tsv": "text/tab-separated-values; charset=utf-8",
	".ics": "text/calendar; charset=utf-8", ".vcf": "text/vcard; charset=utf-8",
	".vtt": "text/vtt; charset=utf-8", ".srt": "text/plain; charset=utf-8",
	".yaml": "application/yaml; charset=utf-8", ".yml": "application/yaml; charset=utf-8",
	".toml": "application/toml; charset=utf-8",
	".xml":  "application/xml; charset=utf-8", ".xsl": "text/xsl; charset=utf-8",
	".rss": "application/rss+xml; charset=utf-8", ".atom": "application/atom+xml; charset=utf-8",
	".json": "application/json; charset=utf-8", ".jsonld": "application/ld+json; charset=utf-8",
	".map": "application/json; charset=utf-8", ".geojson": "application/geo+json; charset=utf-8",
	".webmanifest": "application/manifest+json; charset=utf-8",
	".ndjson":      "application/x-ndjson; charset=utf-8", ".wasm": "application/wasm",
	".pdf": "application/pdf", ".epub": "application/epub+zip",
	".zip": "application/zip", ".gz": "application/gzip", ".tgz": "application/gzip",
	".bz2": "application/x-bzip2", ".xz": "application/x-xz", ".zst": "application/zstd",
	".tar": "application/x-tar", ".7z": "application/x-7z-compressed",
	".png": "image/png", ".apng": "image/apng", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".jxl": "image/jxl",
	".heic": "image/heic", ".svg": "image/svg+xml; charset=utf-8", ".ico": "image/x-icon",
	".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".eot": "application/vnd.ms-fontobject",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg",
	".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav",
	".weba": "audio/webm", ".mid": "audio/midi",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg",
	".mov": "video/quicktime", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t",
	".glb": "model/gltf-binary", ".gltf": "model/gltf+json",
}

// sniffLen is how much of a file without a known extension decides its type.
const sniffLen = 512

// TypeOf returns the content type of a file. A known extension decides.
// Otherwise head, the first bytes of the content, tells text from the rest;
// it is never taken for HTML or script.
func TypeOf(name string, head []byte) string {
	if t, ok := types[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	if isText(head[:min(len(head), sniffLen)]) {
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// isText reports whether b is UTF-8 without control characters. A character
// cut off at the end is forgiven: b is the beginning of a longer content.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b)
		}
		if r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// Compressible reports whether contents of a type are worth compressing:
// text, and the binary formats that are not compressed in themselves.
func Compressible(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "+json") {
		return true
	}
	switch t {
	case "application/json", "application/xml", "application/yaml", "application/toml",
		"application/x-ndjson", "application/wasm", "application/vnd.ms-fontobject",
		"application/x-tar", "application/vnd.apple.mpegurl",
		"font/ttf", "font/otf", "image/bmp", "image/x-icon", "model/gltf-binary":
		return true
	}
	return false
}
