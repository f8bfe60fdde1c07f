package main

import (
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/ast"

	"contenders/windows"
)

type record struct {
	Ts  *int64  `json:"ts"`
	UID *string `json:"uid"`
}

var validating = sonic.Config{ValidateString: true, CaseSensitive: true}.Froze()

// strict parses and validates the whole document; of several fields of one name the last one counts.
func strict(document []byte, counted windows.Windows) {
	var decoded record
	// Nothing else writes to the document while its strings are in use, so that it need not be copied.
	text := unsafe.String(unsafe.SliceData(document), len(document))
	err := validating.UnmarshalFromString(text, &decoded)
	if err == nil && decoded.Ts != nil && decoded.UID != nil && utf8.ValidString(text) {
		counted.Add(*decoded.Ts, *decoded.UID)
	}
}

// early looks for one field and then for the other, and stops where it finds them. It validates nothing, and
// of several fields of one name the first one counts.
func early(document []byte, counted windows.Windows) {
	search := ast.NewSearcher(unsafe.String(unsafe.SliceData(document), len(document)))
	search.ValidateJSON = false
	ts, errTs := search.GetByPath("ts")
	user, errUser := search.GetByPath("uid")
	if errTs != nil || errUser != nil {
		return
	}
	seconds, errTs := ts.StrictInt64()
	name, errUser := user.StrictString()
	if errTs == nil && errUser == nil {
		counted.Add(seconds, name)
	}
}
