/// What can be wrong with a run's data, configuration or folder, and what can stop one.
///
/// Every description is one line.
public enum TrainingError: Error, Sendable, CustomStringConvertible {
  /// A data file that is not there, cannot be read, or breaks its compression.
  case unreadable(path: String, reason: String)
  /// A line of a data file that is not what it should be; lines count from 1.
  case badLine(path: String, line: Int, reason: String)
  /// A data file without a single example.
  case noExamples(path: String)
  /// Fewer examples of a label than a few-shot run asks for.
  case tooFew(path: String, label: String, wanted: Int, counts: String)
  /// A configuration file, key or value that cannot be used; `origin` is a file or the command line.
  case configuration(origin: String, reason: String)
  /// An output folder that must not be written to, or does not fit the run that is to continue in it.
  case output(path: String, reason: String)
  /// A file or folder of the run that could not be written.
  case unwritable(path: String, reason: String)
  /// The gradient of everything trainable is zero at the first step.
  case zeroGradient(parameters: [String])
  /// A NaN or an infinity: where, in which step, and the lines of the batch it appeared in.
  case nonFinite(step: Int, what: String, batch: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .badLine(let path, let line, let reason): "\(path):\(line): \(reason)"
    case .noExamples(let path): "\(path): no example in the file"
    case .tooFew(let path, let label, let wanted, let counts):
      "\(path): fewer than --examples-per-label \(wanted) examples of label '\(label)' (there are \(counts))"
    case .configuration(let origin, let reason): "\(origin): \(reason)"
    case .output(let path, let reason): "\(path): \(reason)"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    case .zeroGradient(let parameters):
      "the gradient of \(parameters.joined(separator: ", ")) is zero at the first step: nothing would be learned"
    case .nonFinite(let step, let what, let batch): "step \(step): \(what), in the batch of \(batch)"
    }
  }
}
