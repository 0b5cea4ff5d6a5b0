import Testing

extension ProcessTests {
    /// The checker sees each of the wrongs that it is there for, and nothing in a right history.
    @Suite("The checker of crash histories")
    struct VerdictTests {
        /// A right history with a bit of everything: a repeated call, a failed call, a look, an exhausted
        /// run.
        private static func right() -> Evidence {
            var evidence = Evidence()
            evidence.replies = [
                .init(counter: "c", delta: 2, total: 2, began: 0, ended: 2),
                .init(counter: "c", delta: 3, total: 5, began: 1, ended: 4),
                .init(counter: "c", delta: nil, total: 2, began: 3, ended: 5),
                .init(counter: "c", delta: 1, total: 6, began: 6, ended: 7),
            ]
            evidence.finalCounts = ["c": 6]
            evidence.runs = [
                .init(
                    name: "run", status: "completed",
                    steps: [
                        .init(path: "a", key: "ka", status: "completed", attempts: 2),
                        .init(path: "b", key: "kb", status: "completed", attempts: 2),
                    ], expectedSteps: ["a", "b"], state: "done", expectedState: "done"),
                .init(
                    name: "exhausted", status: "failed",
                    steps: [.init(path: "a", key: "kx", status: "failed", attempts: 4)],
                    expectedSteps: ["a", "b"]),
            ]
            evidence.jobs = [.init(worker: "w", sent: ["/j/0", "/j/1"], processed: 2)]
            evidence.lines = [
                .call(key: "ka", path: "/a", status: 200), .call(key: "kx", path: "/a", status: 200),
                .call(key: "ka", path: "/a", status: 200), .seen(key: "ka"),
                .call(key: "j0", path: "/j/0", status: 500), .call(key: "kb", path: "/b", status: 500),
                .call(key: "j0", path: "/j/0", status: 200), .call(key: "j1", path: "/j/1", status: 200),
                .call(key: "kb", path: "/b", status: 200), .seen(key: "kb"),
            ]
            return evidence
        }

        /// The sentences about a history that was changed in one place.
        private func faults(_ change: (inout Evidence) -> Void) -> [String] {
            var evidence = Self.right()
            change(&evidence)
            return Verdict(evidence).faults.map(\.sentence)
        }

        @Test func aRightHistoryIsClean() {
            let verdict = Verdict(Self.right())
            #expect(verdict.faults.isEmpty)
            #expect(verdict.contradictions.isEmpty)
            #expect(verdict.changes == 3)
            #expect(verdict.runs == 3)
            #expect(verdict.exhausted == 1)
            #expect(verdict.effects == 5)
            #expect(verdict.repeated == 3)
        }

        @Test func anAcknowledgedChangeThatIsLost() {
            #expect(faults { $0.finalCounts["c"] = 5 } == ["lost: c ends with 5, 6 was acknowledged"])
            #expect(faults { $0.finalCounts = [:] } == ["lost: c is gone"])
            // Two changes answered with the same base: the first of them was undone.
            #expect(
                faults {
                    $0.replies[3].total = 5
                    $0.finalCounts["c"] = 5
                }.contains("lost: c: +1 answered 5 after 5"))
            // A total was seen that no change has left behind.
            #expect(faults { $0.replies[2].total = 4 } == ["lost: c: 4 was seen, and never was"])
        }

        @Test func aTurnThatHappenedTwice() {
            #expect(faults { $0.finalCounts["c"] = 7 } == ["doubled: c ends with 7, acknowledged was 6"])
            #expect(
                faults {
                    $0.replies[3].total = 7
                    $0.finalCounts["c"] = 7
                } == ["doubled: c: +1 answered 7 after 5, nobody added the rest"])
        }

        @Test func theCheckerOfLinearizabilitySeesTheSame() {
            // A look that began after a later total was told; a change that was lost; one that was doubled.
            let wrongs: [@Sendable (inout Evidence) -> Void] = [
                { ($0.replies[2].began, $0.replies[2].ended) = (6, 8) }, { $0.replies[3].total = 5 },
                { $0.replies[3].total = 7 },
            ]
            for wrong in wrongs {
                var evidence = Self.right()
                wrong(&evidence)
                #expect(Verdict(evidence).contradictions.count == 1)
            }
        }

        @Test func aReplyThatGoesBackInTime() {
            #expect(
                faults { ($0.replies[2].began, $0.replies[2].ended) = (6, 8) } == [
                    "disordered: c: answered 2 after 5 had been answered"
                ])
        }

        @Test func aStepCalledAfterItsCompletion() {
            #expect(
                faults { $0.lines.append(.call(key: "kb", path: "/b", status: 200)) }.contains(
                    "doubled: run: b was called again after it was seen completed"))
            let late = faults { $0.lines.append(.call(key: "ka", path: "/a", status: 200)) }
            #expect(late.contains("doubled: run: a was called again after b"))
            #expect(late.contains("doubled: run: a was called again after it was seen completed"))
            #expect(late.contains("wrong: run: a called 3 times in 2 attempts"))
        }

        @Test func aStepWithoutItsEffect() {
            #expect(
                faults { $0.lines.removeAll { if case .call("ka", _, _) = $0 { true } else { false } } }
                    == ["wrong: run: a completed without its effect"])
        }

        @Test func aLostRun() {
            #expect(faults { $0.runs[0].status = "running" } == ["lost: run ends as running"])
            let absent = faults {
                $0.runs[0].status = "absent"
                $0.runs[0].steps = []
            }
            #expect(absent.contains("lost: run ends as absent"))
            #expect(absent.contains("lost: /a was called by a step (ka) that no history has"))
        }

        @Test func aRunThatEndsOtherwise() {
            #expect(
                faults { $0.runs[0].expectedSteps = ["a", "b", "c"] }
                    == [#"wrong: run completed with the steps ["a", "b"]"#])
            #expect(faults { $0.runs[0].state = "half" } == ["wrong: run has the state half, not done"])
            #expect(faults { $0.runs[0].leftMessages = 1 } == ["doubled: run has 1 messages left"])
            #expect(faults { $0.runs[1].steps[0].attempts = 3 }.contains { $0.contains("tries left") })
        }

        @Test func aWorkerThatFailed() {
            let failed = Evidence.Step(path: "loop/#1/process", key: "j1", status: "failed", attempts: 6)
            func end(_ evidence: inout Evidence, attempts: Int = 6) {
                evidence.jobs[0].processed = 1
                evidence.jobs[0].failedStep = failed
                evidence.jobs[0].failedStep?.attempts = attempts
            }
            #expect(faults { end(&$0) }.isEmpty)
            #expect(faults { end(&$0, attempts: 5) }.contains { $0.contains("tries left") })
            let behind = faults {
                end(&$0)
                $0.jobs[0].sent.append("/j/2")
            }
            #expect(behind == ["lost: w: 1 of 1 jobs, left 0"])
        }

        @Test func aMessageThatIsLostOrDoubled() {
            #expect(faults { $0.jobs[0].processed = 1 } == ["lost: w: 1 of 2 jobs, left 0"])
            #expect(
                faults { $0.lines.removeAll { if case .call("j1", _, _) = $0 { true } else { false } } }
                    == ["lost: w: /j/1 was never called"])
            #expect(
                faults { $0.lines.append(.call(key: "j2", path: "/j/1", status: 200)) }
                    == ["doubled: w: /j/1 was 2 messages"])
            #expect(faults { $0.jobs[0].processed = 3 } == ["doubled: w: 3 of 2 jobs, left 0"])
            #expect(
                faults { $0.lines.append(.call(key: "j0", path: "/j/0", status: 200)) }
                    == ["doubled: w: /j/0 was called again after /j/1"])
        }
    }
}
