package dev.fhirapps;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.OAuth2AuthorizeRequest;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Resource server, login or client, as Spring Boot makes it from its properties alone: nothing here
 * configures security. With "token" the client prints the access token that it gets, and ends.
 */
@SpringBootApplication
@RestController
public class Consumer {
    public static void main(String[] arguments) {
        SpringApplication.run(Consumer.class, arguments);
    }

    @GetMapping("/who")
    String who(Authentication caller) {
        return caller.getName();
    }

    @Bean
    @ConditionalOnProperty("token")
    CommandLineRunner token(
            @Value("${token}") String registration,
            ClientRegistrationRepository registrations,
            OAuth2AuthorizedClientService clients) {
        return arguments -> {
            var manager =
                    new AuthorizedClientServiceOAuth2AuthorizedClientManager(registrations, clients);
            var request =
                    OAuth2AuthorizeRequest.withClientRegistrationId(registration)
                            .principal("consumer")
                            .build();
            OAuth2AccessToken token = manager.authorize(request).getAccessToken();
            System.out.println("token=" + token.getTokenValue());
            System.exit(0);
        };
    }
}
