import SQLiteDriver
import Testing
