import Compute
import Foundation

extension ConformanceSuite {
  /// Runs every `.safetensors` file of a folder as a case; its stem is the case's name.
  ///
  /// - Parameters:
  ///   - filter: a stem, or a regular expression that is searched for in stems.
  ///   - progress: told of every case when it is done.
  /// - Throws: `ConformanceError.badFolder`, `.badFilter`, `.nothingMatches`. A broken file is a failed case.
  public static func run(
    _ backend: any ComputeBackend, vectors folder: URL, filter: String? = nil,
    progress: (CaseReport) -> Void = { _ in }
  ) throws -> ConformanceReport {
    let files = try vectorFiles(in: folder, filter: filter)
    var reports: [CaseReport] = []
    for url in files {
      let report = VectorRunner(backend: backend).run(url)
      reports.append(report)
      progress(report)
    }
    return ConformanceReport(of: backend.device, cases: reports)
  }

  private static func vectorFiles(in folder: URL, filter: String?) throws -> [URL] {
    let contents: [URL]
    do {
      contents = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    } catch {
      throw ConformanceError.badFolder(folder.path, detail: "not a folder that can be read")
    }
    let files = contents.filter { $0.pathExtension == "safetensors" }.sorted { $0.path < $1.path }
    guard !files.isEmpty else { throw ConformanceError.badFolder(folder.path, detail: "no .safetensors file in it") }
    guard let filter else { return files }
    let stems = try matching(filter, in: files.map { $0.deletingPathExtension().lastPathComponent })
    return files.filter { stems.contains($0.deletingPathExtension().lastPathComponent) }
  }
}

/// Runs one vector file on a device.
struct VectorRunner {
  let backend: any ComputeBackend

  func run(_ url: URL) -> CaseReport {
    let clock = ContinuousClock()
    let start = clock.now
    var report = CaseReport(
      name: url.deletingPathExtension().lastPathComponent, operation: "", status: .failed)
    do {
      let file = try VectorFile(url: url)
      report.operation = file.operation
      report.worst = try worst(file)
      if let worst = report.worst, !worst.passes { report.reason = worst.description } else { report.status = .passed }
    } catch let error as ConformanceError where error.isSkip {
      report.status = .skipped
      report.reason = error.description
    } catch {
      report.reason = oneLine(error)
    }
    report.seconds = (clock.now - start) / .seconds(1)
    return report
  }

  private func worst(_ file: VectorFile) throws -> WorstError? {
    let operation = try OperationTable.operation(file.operation)
    let documentation = operation.documentation
    // Unknown attributes come first: they skip a case whatever else is the matter with it.
    let call = OperationCall(
      inputs: file.inputs,
      attributes: try AttributeValues(
        file.attributes, of: operation.name, documented: documentation.attributes, allowsInternal: false))
    try documentation.check(file.inputs)
    let differentiable = try operation.differentiableInputs(call)
    for index in file.gradients.keys.sorted() where !differentiable.contains(index) {
      guard file.inputs[index] != nil else {
        throw ConformanceError.brokenVector("gradient.\(index) of an input that is not there")
      }
      throw ConformanceError.unsupported("\(operation.name) has no gradient.\(index) here")
    }

    let session = DeviceSession(backend)
    // The forward pass comes first: it checks the shapes that a cotangent has to have.
    try operation.run(session, call, cotangent: nil, gradients: [])
    if let cotangent = file.cotangent, !file.gradients.isEmpty {
      guard let output = session.results["output.0"], output.shape == cotangent.shape else {
        throw ConformanceError.brokenVector(
          "cotangent.0 has shape \(cotangent.shape), output.0 \(session.results["output.0"]?.shape ?? [])")
      }
      let gradientSession = DeviceSession(backend)
      try operation.run(gradientSession, call, cotangent: cotangent, gradients: Set(file.gradients.keys))
      return try compare(file, session.results.merging(gradientSession.results) { forward, _ in forward })
    }
    return try compare(file, session.results)
  }

  private func compare(_ file: VectorFile, _ results: [String: HostTensor]) throws -> WorstError? {
    var worst: WorstError?
    let expected =
      file.outputs.map { ("output.\($0.key)", $0.value) } + file.gradients.map { ("gradient.\($0.key)", $0.value) }
    for (name, target) in expected.sorted(by: { $0.0 < $1.0 }) {
      guard let got = results[name] else { throw ConformanceError.invalidCall("\(name) is not a result of this call") }
      guard got.shape == target.shape else {
        throw ConformanceError.invalidCall("\(name) has shape \(got.shape), not \(target.shape)")
      }
      let tolerance = file.tolerances[name] ?? VectorFile.Tolerance(absolute: 0, relative: 0)
      let error = Comparison.worst(
        name, got.doubles, target.doubles, absolute: tolerance.absolute, relative: tolerance.relative)
      if let error, worst == nil || error.ratio > worst?.ratio ?? 0 { worst = error }
    }
    return worst
  }
}
