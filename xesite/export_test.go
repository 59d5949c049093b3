// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import "time"

// SetReadTimeout shortens the time that a request may take to arrive.
func (s *Server) SetReadTimeout(d time.Duration) { s.readTimeout = d }
