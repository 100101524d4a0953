// Package players lets real players watch shows that go wrong: publishers that are killed, late, silent or changed, alone and as rungs of a
// ladder. It contains only tests, runs the program as users do, and refuses to know the inside of the server.
package players
