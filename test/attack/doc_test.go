// Package attack tests, on the built program, that no intruder and no crowd hurts a show: hostile clients of many kinds on every port while
// real encoders publish and others watch. It refuses to test single limits: the packages that have them do.
package attack
