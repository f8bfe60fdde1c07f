package main

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"github.com/buger/jsonparser"
	"github.com/bytedance/sonic"

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

var (
	fields   = [][]string{{"ts"}, {"uid"}}
	errMixed = errors.New("a field of another type than asked for")
)

// early stops at the second of the two fields: what stands behind it may be anything, and of several fields
// of one name the first one counts.
func early(document []byte, counted windows.Windows) {
	var ts int64
	var user []byte
	found := 0
	take := func(field int, value []byte, kind jsonparser.ValueType, err error) error {
		found++
		switch {
		case err != nil:
			return err
		case field == 0 && kind == jsonparser.Number:
			ts, err = jsonparser.ParseInt(value)
		case field == 1 && kind == jsonparser.String:
			user, err = jsonparser.Unescape(value, nil)
		default:
			err = errMixed
		}
		return err
	}
	err := jsonparser.EachKeyErr(document, take, fields...)
	if err == nil && found == len(fields) {
		counted.Add(ts, unsafe.String(unsafe.SliceData(user), len(user)))
	}
}
