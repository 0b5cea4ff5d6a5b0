import SessionCore
import Testing
