import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/**
 * Validates each named file against PDF/UA-1 with veraPDF, whatever standard the file claims.
 *
 * <p>Writes lines of fields with tabs between: for each file {@code file, "judged", number of assertions, "true" or "false"}, and before that for
 * each broken rule, once, {@code file, "broken", clause-test, what is wrong and where}. A file that cannot be judged ends it all with an exception.
 */
public final class Validate {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] files) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        for (String file : files) {
            try (PDFAParser parser = Foundries.defaultInstance().createParser(Path.of(file).toFile(), PDFAFlavour.PDFUA_1);
                    PDFAValidator validator = Foundries.defaultInstance().createValidator(PDFAFlavour.PDFUA_1, false)) {
                tell(file, validator.validate(parser));
            }
        }
    }

    private static void tell(String file, ValidationResult result) {
        result.getTestAssertions().stream()
                .filter(each -> each.getStatus() != TestAssertion.Status.PASSED)
                .map(each -> line(
                        file,
                        "broken",
                        each.getRuleId().getClause() + "-" + each.getRuleId().getTestNumber(),
                        each.getMessage() + " (" + each.getLocation().getContext() + ")"))
                .forEach(OUT::println);
        OUT.println(line(file, "judged", result.getTotalAssertions(), result.isCompliant()));
    }

    private static String line(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) {
            line.append(line.isEmpty() ? "" : "\t").append(String.valueOf(field).replaceAll("\\p{Cntrl}", " "));
        }
        return line.toString();
    }
}
