// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An XML declaration, XML 1.0 2.8.
var declaration = regexp.MustCompile(`^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// decode returns the feed in UTF-8, without a byte order mark and without what
// no parser would take.
func (p *parser) decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return p.repair(fromUTF16(data[2:], binary.LittleEndian)), nil
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return p.repair(fromUTF16(data[2:], binary.BigEndian)), nil
	default:
		m := declaration.FindSubmatch(data[:min(len(data), 1024)])
		if m == nil {
			break
		}
		switch charset := strings.ToLower(string(m[1])); charset {
		case "utf-8", "utf8", "us-ascii", "ascii":
		// Where people write ISO-8859-1 they mean windows-1252; the difference
		// is control characters, which no text needs.
		case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252":
			return p.repair(fromWindows1252(data)), nil
		case "utf-16", "utf-16le", "utf-16be":
			return nil, fmt.Errorf("%w: it says it were %s, but has no byte order mark and is not", ErrFormat, charset)
		default:
			return nil, fmt.Errorf("%w: its encoding is %q, want UTF-8, UTF-16, ISO-8859-1 or windows-1252", ErrFormat, charset)
		}
	}
	return p.repair(data), nil
}

// repair replaces what is not UTF-8, and removes control characters, of which
// one would end the reading of XML and take down all items that follow.
func (p *parser) repair(data []byte) []byte {
	if !utf8.Valid(data) {
		p.problem(0, "", false, errors.New("it is not valid UTF-8; what is not is replaced"))
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if !bytes.ContainsFunc(data, notInXML) {
		return data
	}
	p.problem(0, "", false, errors.New("it has control characters, which are removed"))
	return bytes.Map(func(r rune) rune {
		if notInXML(r) {
			return -1
		}
		return r
	}, data)
}

// notInXML reports whether XML 1.0 2.2 has no place for a character.
func notInXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || r >= 0xD800 && r <= 0xDFFF || r > 0x10FFFF
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}

// What windows-1252 has from 0x80 to 0x9f, https://encoding.spec.whatwg.org/.
// The rest is the same as the first 256 characters of Unicode.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

func fromWindows1252(data []byte) []byte {
	high := []rune(windows1252)
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, b := range data {
		r := rune(b)
		if b >= 0x80 && b < 0xa0 {
			r = high[b-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
