import Compute

/// Runs prepared cases on a device and judges what comes back.
struct CaseRunner {
  let backend: any ComputeBackend

  /// Why a case failed, and the worst element where there is one.
  private struct Failure: Error {
    var reason: String
    var worst: WorstError?
  }

  /// Value and gradients in misaligned, guarded memory; once more in plain memory; and in guarded memory the same bits again.
  func check(_ prepared: PreparedCase) -> (status: CaseReport.Status, reason: String, worst: WorstError?) {
    do {
      let first = try runGuarded(prepared)
      var worst = try judge(first, prepared)
      let plain = try judge(try runPlain(prepared), prepared)
      if let plain, plain.ratio > worst?.ratio ?? -1 { worst = plain }
      // What these left may be a table or a kernel that the backend keeps; what an equal call adds is lost.
      let kept = backend.memory.current
      let objects = try backend.driverObjects()
      let second = try runGuarded(prepared)
      for (name, values) in first.sorted(by: { $0.key < $1.key }) {
        guard second[name]?.hasSameBits(as: values) == true else {
          throw Failure(reason: "\(name) differs between two equal calls", worst: worst)
        }
      }
      let lost = backend.memory.current - kept
      guard lost <= 0 else {
        throw Failure(reason: "\(lost) bytes of device memory were not given back", worst: worst)
      }
      for (kind, count) in try backend.driverObjects().sorted(by: { $0.key < $1.key }) {
        guard count <= objects[kind] ?? 0 else {
          throw Failure(reason: "\(kind): \(objects[kind] ?? 0) became \(count) by equal calls", worst: worst)
        }
      }
      return (.passed, "", worst)
    } catch let failure as Failure {
      return (.failed, failure.reason, failure.worst)
    } catch let error as ConformanceError where error.isSkip {
      return (.skipped, error.description, nil)
    } catch ComputeError.unsupported(let operation, let detail) {
      return (.skipped, "\(operation): \(detail)", nil)
    } catch {
      return (.failed, oneLine(error), nil)
    }
  }

  private func runGuarded(_ prepared: PreparedCase) throws -> [String: HostTensor] {
    let guarded = GuardedBackend(backend)
    let session = DeviceSession(guarded)
    try run(prepared, session)
    if let input = try session.changedInput() { throw Failure(reason: "input.\(input) was written to") }
    if let violation = try guarded.violation() { throw Failure(reason: violation) }
    return session.results
  }

  private func runPlain(_ prepared: PreparedCase) throws -> [String: HostTensor] {
    let session = DeviceSession(backend)
    try run(prepared, session)
    return session.results
  }

  private func run(_ prepared: PreparedCase, _ session: DeviceSession) throws {
    try prepared.operation.run(
      session, prepared.call, cotangent: prepared.cotangent, gradients: prepared.gradients)
    try backend.synchronize()
  }

  /// The worst element of all results.
  ///
  /// - Throws: `Failure` if it is beyond its tolerance, or a result is missing or has another shape.
  private func judge(_ results: [String: HostTensor], _ prepared: PreparedCase) throws -> WorstError? {
    var worst: WorstError?
    let expectations = prepared.expectations(flushesDenormals: backend.device.flushesDenormals)
    for (name, expectation) in expectations.sorted(by: { $0.key < $1.key }) {
      guard let result = results[name] else { throw Failure(reason: "\(name) was not computed") }
      guard result.shape == expectation.shape else {
        throw Failure(reason: "\(name) has shape \(result.shape), not \(expectation.shape)")
      }
      let error = Comparison.worst(name, result.doubles, expectation, allowsNaN: prepared.allowsNaN)
      if let error, error.ratio > worst?.ratio ?? -1 { worst = error }
    }
    if let worst, !worst.passes { throw Failure(reason: worst.description, worst: worst) }
    return worst
  }
}

/// An error's description, without line breaks.
func oneLine(_ error: any Error) -> String {
  "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
}
