// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"fmt"
	"strings"
	"time"
)

// Dates as in RFC 3339, and as they are found. Fractions of a second are taken
// wherever there are seconds.
var isoLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700",
	"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-1-2", "20060102T150405Z0700", "2006-01", "2006",
}

// Dates as in RFC 822 and 1123, without the weekday.
var mailLayouts = []string{
	"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04:05 -07:00", "2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 2006",
	"2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04 -0700", "2 Jan 06 15:04:05", "2 Jan 06 15:04", "2 Jan 06",
	"Jan 2 2006 15:04:05 -0700", "Jan 2 2006 15:04:05", "Jan 2 2006",
}

// Zones by name, RFC 822 5.1 and what else is common in feeds. Package time does
// not know how far they are from UTC.
var zones = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000", "EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "WET": "+0000", "WEST": "+0100", "CET": "+0100", "CEST": "+0200", "EET": "+0200", "EEST": "+0300",
}

// date reads a date, and gives a warning and the zero time if it cannot.
func date(s string, warn func(error)) time.Time {
	if s = oneLine(s); s == "" {
		return time.Time{}
	}
	t, ok := parseDate(s)
	if !ok {
		warn(fmt.Errorf("its date %.60q is not readable, want one like %q", s, "2026-03-01T18:00:00Z"))
	}
	return t
}

func parseDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	if s[0] >= '0' && s[0] <= '9' && (len(s) < 5 || s[4] == '-' || s[4] >= '0' && s[4] <= '9') {
		return parseAny(isoLayouts, iso(s))
	}
	return parseAny(mailLayouts, mail(s))
}

func parseAny(layouts []string, s string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return t, true
		}
	}
	return time.Time{}, false
}

// iso makes a "T" and no blanks of what separates date and time and zone.
func iso(s string) string {
	s = strings.ToUpper(s)
	day, clock, ok := strings.Cut(s, " ")
	if !ok {
		return s
	}
	clock = strings.ReplaceAll(clock, " ", "")
	for _, name := range []string{"UTC", "GMT"} {
		if bare, ok := strings.CutSuffix(clock, name); ok {
			clock = bare + "Z"
		}
	}
	if strings.ContainsRune(day, 'T') {
		return day + clock // only the zone stands apart
	}
	return day + "T" + clock
}

// mail takes the weekday off, shortens months and replaces names of zones.
func mail(s string) string {
	fields := strings.Fields(strings.ReplaceAll(s, ",", " "))
	if len(fields) > 0 && isWeekday(fields[0]) {
		fields = fields[1:]
	}
	for i, f := range fields {
		f = strings.TrimSuffix(f, ".")
		switch zone, known := zones[strings.ToUpper(f)]; {
		case known && i == len(fields)-1:
			fields[i] = zone
		case len(f) > 3 && isMonth(f):
			fields[i] = f[:3]
		default:
			fields[i] = f
		}
	}
	return strings.Join(fields, " ")
}

// isWeekday takes any language's: a word before the day that is no month.
func isWeekday(s string) bool {
	return (s[0] < '0' || s[0] > '9') && !isMonth(strings.TrimSuffix(s, "."))
}

func isMonth(s string) bool {
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(s, m.String()) || strings.EqualFold(s, m.String()[:3]) || strings.EqualFold(s, "Sept") && m == time.September {
			return true
		}
	}
	return false
}
