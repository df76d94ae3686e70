// Package census holds the language to what people write elsewhere: its tests run definitions of testdata/census, and work out which of
// the public ones have what they need here.
package census
