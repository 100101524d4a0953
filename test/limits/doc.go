// Package limits runs the program, as users do, in less memory than a crowd would like to take, and checks that the show goes on. It
// contains only tests, uses the program's ports, and refuses to know the inside of the server.
package limits
