// Package limits puts the program, as users run it, into less memory than a crowd would like to take, and looks whether the show
// goes on. It is tests only, plays by the program's ports, and knows nothing of the server's inside.
package limits
